"""Deep CORAL: the paper's formula in NumPy, what it does not see, devices, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import deep_coral

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(16, 3)), RNG.normal(size=(8, 3)) @ RNG.normal(size=(3, 3))


def test_it_is_the_paper_s_distance_of_covariances():
    """Not the mean of squares plus a distance of means, as a popular port computes it."""
    difference = np.cov(SOURCE.T) - np.cov(TARGET.T)
    expected = np.linalg.norm(difference, "fro") ** 2 / (4 * 3**2)
    found = deep_coral(jnp.asarray(SOURCE), jnp.asarray(TARGET))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    far = deep_coral(jnp.asarray(SOURCE + 7), jnp.asarray(TARGET - 3))
    np.testing.assert_allclose(far, expected, rtol=1e-4)  # means do not enter
    assert float(deep_coral(jnp.asarray(SOURCE), jnp.asarray(SOURCE[::-1].copy()))) < 1e-10


def test_moments_are_taken_over_devices_before_the_square():
    w = jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)
    source, target = jnp.asarray(SOURCE, jnp.float32), jnp.asarray(TARGET, jnp.float32)

    def loss(w, source, target, axis_name=None):
        return deep_coral(jnp.tanh(source @ w), jnp.tanh(target @ w), axis_name)

    want, slope = jax.value_and_grad(loss)(w, source, target)
    mapped = jax.pmap(
        jax.value_and_grad(lambda *x: loss(*x, "i")), axis_name="i", in_axes=(None, 0, 0)
    )
    got, slopes = mapped(w, source.reshape(8, 2, 3), target.reshape(8, 1, 3))
    np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-3, atol=1e-6)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="source and target: widths must be equal, got 3 and 2"):
        deep_coral(jnp.ones((4, 3)), jnp.ones((4, 2)))
    with pytest.raises(ValueError, match="target: a covariance takes at least two examples, got 1"):
        deep_coral(jnp.ones((4, 3)), jnp.ones((1, 3)))
    with pytest.raises(ValueError, match=r"source: .*shape \[n, d\].*source\.reshape"):
        deep_coral(jnp.ones((4, 2, 2)), jnp.ones((4, 3)))
