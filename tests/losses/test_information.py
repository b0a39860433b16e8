"""InfoGAN's codes: SciPy's densities, the sign, and a gradient that reaches q."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from gan_mtl.losses.information import categorical_code, continuous_code

RNG = np.random.default_rng(0)


def test_categorical_is_minus_the_log_probability():
    logits, codes = RNG.normal(size=(6, 5)) * 3, np.array([0, 1, 2, 3, 4, 0])
    with jax.enable_x64(True):
        got = categorical_code(jnp.array(logits), jnp.array(codes))
    np.testing.assert_allclose(
        got, -special.log_softmax(logits, axis=1)[np.arange(6), codes], rtol=1e-10
    )


@pytest.mark.parametrize("fixed", [True, False])
def test_continuous_is_minus_the_log_density(fixed):
    mean, codes, log_variance = RNG.normal(size=(3, 6, 4))
    variance = np.ones_like(mean) if fixed else np.exp(log_variance)
    want = -stats.norm.logpdf(codes, mean, np.sqrt(variance)).sum(axis=1)
    with jax.enable_x64(True):
        arguments = map(jnp.array, (mean, codes) if fixed else (mean, codes, log_variance))
        np.testing.assert_allclose(continuous_code(*arguments), want, rtol=1e-10)


def test_a_right_q_has_the_lower_loss():
    codes = jnp.array([2, 0])
    right, wrong = 4 * jax.nn.one_hot(codes, 3), 4 * jax.nn.one_hot((codes + 1) % 3, 3)
    assert (categorical_code(right, codes) < categorical_code(0 * right, codes)).all()
    assert (categorical_code(0 * right, codes) < categorical_code(wrong, codes)).all()
    c, sharp = jnp.ones((2, 3)), jnp.full((2, 3), -2.0)
    assert (continuous_code(c, c) < continuous_code(c + 1, c)).all()
    assert (continuous_code(c, c, sharp) < continuous_code(c, c)).all()
    assert (continuous_code(c + 1, c, sharp) > continuous_code(c + 1, c)).all()


def test_descending_moves_q_to_the_code():
    """The gradient reaches every output of q, with the right sign."""
    slope = jax.grad(lambda x: categorical_code(x, jnp.array([1])).sum())(jnp.zeros((1, 3)))
    np.testing.assert_allclose(slope, [[1 / 3, -2 / 3, 1 / 3]], rtol=1e-6)
    c = jnp.array([[2.0]])
    by_mean, by_code, by_variance = jax.grad(
        lambda m, c, v: continuous_code(m, c, v).sum(), (0, 1, 2)
    )(jnp.zeros((1, 1)), c, jnp.zeros((1, 1)))
    np.testing.assert_allclose([by_mean, by_code, by_variance], [[[-2]], [[2]], [[-1.5]]])


def test_the_best_variance_is_the_squared_error():
    slope = jax.grad(lambda v: continuous_code(jnp.zeros((1, 1)), jnp.full((1, 1), 3.0), v).sum())
    np.testing.assert_allclose(slope(jnp.full((1, 1), np.log(9.0))), 0, atol=1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="mean and codes"):
        continuous_code(jnp.ones((3, 2)), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match="mean and log_variance"):
        continuous_code(jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match=r"codes.*one row per example.*\(3,\)"):
        continuous_code(jnp.ones((3, 2)), jnp.ones(3))
    with pytest.raises(TypeError, match="labels: expected integer class numbers"):
        categorical_code(jnp.ones((3, 2)), jnp.ones(3))
