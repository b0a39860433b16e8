"""Gradient reversal: the identity bit for bit, minus lambda backwards, in all of JAX's modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import gradient_reversal

X = jax.random.normal(jax.random.key(0), (4, 3))


def square(x, coefficient):
    return (gradient_reversal(x, coefficient) ** 2).sum()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_forward_is_the_identity_bit_for_bit(dtype):
    x = (1e8 * X).astype(dtype)
    found = jax.jit(gradient_reversal)(x, 0.3)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("coefficient", [0.0, 0.3, 1.0, 2.5])
def test_backward_is_minus_lambda(coefficient):
    wanted = -coefficient * 2 * X
    np.testing.assert_allclose(jax.grad(square)(X, coefficient), wanted, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(square))(X, coefficient), wanted, rtol=1e-6)


def test_a_traced_lambda_forward_mode_and_vmap():
    coefficients = jnp.array([0.0, 1.0])
    found = jax.vmap(jax.grad(square), (None, 0))(X, coefficients)
    np.testing.assert_allclose(found, [0 * X, -2 * X], rtol=1e-6)
    _, tangent = jax.jvp(lambda x: gradient_reversal(x, 0.5), (X,), (X,))
    np.testing.assert_allclose(tangent, -0.5 * X, rtol=1e-6)
    assert float(jax.grad(square, argnums=1)(X, 0.5)) == 0


def test_it_goes_through_linearize_as_the_update_does():
    value, linear = jax.linearize(lambda x: square(x, 0.5), X)
    (slope,) = jax.linear_transpose(linear, X)(jnp.ones_like(value))
    np.testing.assert_allclose(slope, -X, rtol=1e-6)


def test_bad_input_is_refused_by_name():
    with pytest.raises(TypeError, match=r"x: only floating-point .* got dtype int32"):
        gradient_reversal(jnp.ones(3, jnp.int32))
    with pytest.raises(ValueError, match=r"coefficient: expected a scalar, got shape \(3,\)"):
        gradient_reversal(jnp.ones(3), jnp.ones(3))
