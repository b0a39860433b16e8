"""Scores refuse to be compared across protocols."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.metrics import Protocol, Score, compare, weights_hash

PROTOCOL = Protocol(
    metric="frechet_distance",
    network="digits_cnn",
    network_hash="0123456789ab",
    real_count=360,
    fake_count=1000,
    split="test",
    ema=True,
    seeds=(0, 1, 2),
)


def test_same_protocol_compares():
    assert compare(Score(3.0, 0.1, PROTOCOL), Score(1.0, None, PROTOCOL)) == 2.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric", "kernel_distance (100 x 1000)"),
        ("network_hash", "ffffffffffff"),
        ("fake_count", 50_000),
        ("split", "train"),
        ("ema", False),
        ("seeds", (0,)),
        ("notes", "legacy resizer"),
    ],
)
def test_another_protocol_is_refused_by_field(field, value):
    other = PROTOCOL._replace(**{field: value})
    with pytest.raises(ValueError, match=f"differ in {field} ") as error:
        compare(Score(3.0, None, PROTOCOL), Score(1.0, None, other))
    assert repr(value) in str(error.value)
    assert not any(f"{name} (" in str(error.value) for name in Protocol._fields if name != field)


def test_every_differing_field_is_named():
    other = PROTOCOL._replace(real_count=1, ema=False)
    with pytest.raises(
        ValueError, match=r"real_count \(360 against 1\), ema \(True against False\)"
    ):
        compare(Score(0.0, None, PROTOCOL), Score(0.0, None, other))


def test_weights_hash():
    tree = {"dense": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}}
    first = weights_hash(tree)
    assert len(first) == 12 and set(first) <= set("0123456789abcdef")
    assert first == weights_hash({"dense": {k: jnp.array(v) for k, v in tree["dense"].items()}})
    for changed in (
        {"dense": {**tree["dense"], "bias": np.array([0, 0, 1e-30], np.float32)}},
        {"dense": {**tree["dense"], "kernel": np.ones((3, 2), np.float32)}},
        {"dense": {**tree["dense"], "bias": np.zeros(3)}},
        {"other": tree["dense"]},
    ):
        assert weights_hash(changed) != first
