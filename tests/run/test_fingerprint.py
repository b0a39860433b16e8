import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gan_mtl.run import fingerprint


def test_digest_sees_path_dtype_shape_and_bits():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [
        {"b": np.zeros((2, 3), np.float32)},
        {"a": np.zeros((3, 2), np.float32)},
        {"a": np.zeros((2, 3), np.int32)},
        {"a": -base["a"]},
        {"a": base["a"], "b": np.zeros((), np.float32)},
    ]
    digests = {fingerprint.digest(tree) for tree in [base, *others]}
    assert len(digests) == 6
    assert fingerprint.digest({"a": jnp.zeros((2, 3))}) == fingerprint.digest(base)
    devices = jax.make_mesh((8,), ("d",), axis_types=(AxisType.Auto,))
    for spec in (PartitionSpec(), PartitionSpec("d")):
        tree = {"a": np.arange(16.0, dtype=np.float32)}
        spread = jax.device_put(tree, NamedSharding(devices, spec))
        assert fingerprint.digest(spread) == fingerprint.digest(tree)
    assert fingerprint.digest(jax.random.key(0)) != fingerprint.digest(
        jax.random.key_data(jax.random.key(0))
    )


def test_a_manifest_says_what_it_is_of():
    tree = {"x": jnp.zeros((2, 3)), "k": jax.random.key(1)}
    made = fingerprint.manifest(4, tree, {"seed": 1, "shape": (2,)}, {"a": 1, "b": np.nan})
    found = fingerprint.opened(json.loads(json.dumps(made)), 4)
    assert found["meta"] == {"seed": 1, "shape": [2]}
    assert found["metrics"] == {"a": 1.0, "b": None}
    assert found["leaves"]["['x']"][0] == "float32[2,3]"
    assert found["leaves"]["['k']"][0] == "key<fry>[]"
    assert fingerprint.misfits(found, tree) == fingerprint.changed(found, tree) == ""
    other = {"x": jnp.ones((2, 3)), "k": jax.random.key(1)}
    assert fingerprint.changed(found, other) == "['x']"
    for name in ("step", "meta", "metrics", "leaves"):
        with pytest.raises(ValueError, match="its seal is broken"):
            fingerprint.opened({**made, name: None}, 4)
    with pytest.raises(ValueError, match="it is of step 4, in format 1"):
        fingerprint.opened(made, 5)


def test_long_lists_are_cut():
    made = fingerprint.manifest(1, {}, {}, None)
    text = fingerprint.misfits(made, {f"leaf{i}": np.zeros(1) for i in range(9)})
    assert text.count(" is absent there") == 5 and text.endswith(", and 4 more")


def test_damage_to_files(tmp_path):
    folder = tmp_path / "3.orbax-checkpoint-tmp"
    (folder / "state").mkdir(parents=True)
    data = folder / "state" / "d"
    data.write_bytes(b"12345")
    assert "files.json is missing" in fingerprint.damage(folder, thorough=False)
    fingerprint.write_inventories(tmp_path)
    assert fingerprint.damage(folder, thorough=True) == ""
    data.write_bytes(b"12346")
    assert fingerprint.damage(folder, thorough=False) == ""
    assert fingerprint.damage(folder, thorough=True) == f"{data} was changed (sha256)"
    data.write_bytes(b"123")
    assert fingerprint.damage(folder, thorough=False) == f"{data} has 3 bytes of 5"
    data.unlink()
    assert fingerprint.damage(folder, thorough=False) == f"{data} is missing"
    for text in ("[]", "{", '{"files": {}, "seal": ""}'):
        (folder / "files.json").write_text(text)
        assert fingerprint.damage(folder, thorough=False).endswith("files.json was changed")
