"""OASIS's losses against loops over pixels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import losses
from gan_mtl.types import Context

RNG = np.random.default_rng(9)
N, H, W, K = 4, 3, 5, 3
REAL, FAKE = RNG.normal(size=(2, N, H, W, K + 1)).astype(np.float32)
MASK = RNG.integers(0, K - 1, (N, H, W)).astype(np.uint8)  # the last class is nowhere
MASK[1, 0] = 255
CONTEXT = Context(jax.random.key(3), jnp.zeros((), jnp.int32))


def log_softmax(x):
    x = x.astype(np.float64)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def by_loops(outputs, balance):
    """The mean over pixels of minus log-likelihoods of what the map says, class by class."""
    total, logs = np.zeros(N), log_softmax(outputs)
    for i, y, x in np.ndindex(N, H, W):
        if MASK[i, y, x] != 255:
            total[i] -= balance[MASK[i, y, x]] * logs[i, y, x, MASK[i, y, x]]
    return total / (H * W)


def test_balance_is_all_pixels_by_those_of_a_class():
    found = losses.class_balance(jnp.asarray(MASK), K)
    counts = np.array([(c == MASK).sum() for c in range(K)])
    assert counts[-1] == 0 == float(found[-1])
    np.testing.assert_allclose(found[:-1], counts.sum() / counts[:-1], rtol=1e-6)


@pytest.mark.parametrize("bad", [-1, K, 200])
def test_a_class_out_of_range_counts_for_none_and_is_a_fault(bad):
    mask = jnp.asarray(MASK, jnp.int32).at[2, 1, 1].set(255)
    faulty = mask.at[2, 1, 1].set(bad)
    balance = losses.class_balance(faulty, K)
    np.testing.assert_allclose(balance, losses.class_balance(mask, K), rtol=1e-6)
    found = losses.oasis_gen(jnp.asarray(FAKE), faulty, balance)
    assert jnp.isnan(found).tolist() == [False, False, True, False]


def test_both_players_by_loops():
    balance = losses.class_balance(jnp.asarray(MASK), K)
    gen = losses.oasis_gen(jnp.asarray(FAKE), jnp.asarray(MASK), balance)
    np.testing.assert_allclose(gen, by_loops(FAKE, np.asarray(balance)), rtol=1e-5)
    disc = losses.oasis_disc(jnp.asarray(REAL), jnp.asarray(FAKE), jnp.asarray(MASK), balance)
    fake = -log_softmax(FAKE)[..., -1].mean(axis=(1, 2))
    np.testing.assert_allclose(disc, by_loops(REAL, np.asarray(balance)) + fake, rtol=1e-5)


def test_balance_over_devices_is_that_of_the_whole_batch():
    whole = losses.class_balance(jnp.asarray(MASK), K)
    parts = jax.pmap(
        functools.partial(losses.class_balance, num_classes=K, axis_name="data"),
        axis_name="data",
        devices=jax.devices()[:2],
    )(MASK.reshape(2, N // 2, H, W))
    np.testing.assert_allclose(parts, np.stack([whole, whole]), rtol=1e-6)


def test_a_mixture_follows_the_classes_of_the_map():
    mix = np.asarray(losses.label_mix_mask(jnp.asarray(MASK), K, CONTEXT))
    for i in range(N):
        for c in np.unique(MASK[i]):
            assert len(np.unique(mix[i][MASK[i] == c])) == 1
    many = losses.label_mix_mask(jnp.zeros((400, 1, 1), int), K, CONTEXT)
    assert 0.4 < float(many.mean()) < 0.6
    wanted = np.where(mix[..., None], REAL, FAKE)
    found = losses.label_mix_consistency(jnp.asarray(wanted) + 2.0, jnp.asarray(mix), REAL, FAKE)
    np.testing.assert_allclose(found, 4.0, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    balance = jnp.ones(K)
    with pytest.raises(ValueError, match=r"balance: expected one weight for each of 3 classes"):
        losses.oasis_gen(jnp.asarray(FAKE), jnp.asarray(MASK), jnp.ones(K + 1))
    with pytest.raises(ValueError, match="expected one class for every pixel"):
        losses.oasis_gen(jnp.asarray(FAKE), jnp.asarray(MASK[:, :2]), balance)
    with pytest.raises(ValueError, match="shapes must be equal"):
        losses.oasis_disc(jnp.asarray(REAL[:2]), jnp.asarray(FAKE), jnp.asarray(MASK), balance)
    wrong = losses.oasis_gen(jnp.asarray(FAKE), jnp.full((N, H, W), K), balance)
    assert bool(jnp.isnan(wrong).all())
