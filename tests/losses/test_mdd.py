"""Margin disparity: the paper's logarithms in NumPy, extremes, what passes a gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import source_disparity, target_disparity

RNG = np.random.default_rng(0)
MAIN, OTHER = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4))


def test_the_adversary_s_probability_of_the_predicted_class():
    p = np.exp(OTHER) / np.exp(OTHER).sum(axis=1, keepdims=True)
    chosen = p[np.arange(6), MAIN.argmax(axis=1)]
    main, other = jnp.asarray(MAIN), jnp.asarray(OTHER)
    np.testing.assert_allclose(source_disparity(main, other), -np.log(chosen), rtol=1e-5)
    np.testing.assert_allclose(target_disparity(main, other), -np.log(1 - chosen), rtol=1e-5)


def test_a_sure_adversary_still_has_a_gradient():
    """log(1 - p + 1e-6), as ports write it, is flat there."""
    main = jnp.asarray([[1.0, 0.0, 0.0]])
    sure = jnp.asarray([[80.0, 0.0, 0.0]])
    value, slope = jax.value_and_grad(lambda x: target_disparity(main, x).sum())(sure)
    np.testing.assert_allclose(value, 80 - np.log(2), rtol=1e-6)
    np.testing.assert_allclose(slope, [[1.0, -0.5, -0.5]], atol=1e-6)


@pytest.mark.parametrize("loss", [source_disparity, target_disparity])
def test_the_main_classifier_is_looked_at_only(loss):
    main, other = jnp.asarray(MAIN), jnp.asarray(OTHER)
    assert not jax.grad(lambda x: loss(x, other).sum())(main).any()
    with pytest.raises(ValueError, match="logits and adversary: shapes must be equal"):
        loss(main, other[:, :3])
    with pytest.raises(ValueError, match="two classes or more"):
        loss(main[:, :1], other[:, :1])
