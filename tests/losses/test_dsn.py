"""The scale-invariant reconstruction error: the paper's formula, what it does not see."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import scale_invariant_mse

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 4, 3, 3, 1))


def test_the_paper_s_formula():
    error, k = (Y - X).reshape(4, -1), 9
    wanted = (error**2).sum(axis=1) / k - error.sum(axis=1) ** 2 / k**2
    np.testing.assert_allclose(scale_invariant_mse(jnp.asarray(X), jnp.asarray(Y)), wanted, 1e-5)


def test_an_added_intensity_costs_nothing():
    brighter = X + np.arange(4)[:, None, None, None]
    found = scale_invariant_mse(jnp.asarray(brighter), jnp.asarray(X))
    np.testing.assert_allclose(found, 0, atol=1e-10)
    with pytest.raises(ValueError, match="predictions and targets: shapes must be equal"):
        scale_invariant_mse(jnp.asarray(X), jnp.asarray(Y[:3]))
    with pytest.raises(ValueError, match=r"predictions: expected a batch"):
        scale_invariant_mse(jnp.ones(3), jnp.ones(3))
