"""Convolutions with their own gradients: equal to lax's, at every order, and in no loop on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from gan_mtl import nets
from gan_mtl.nets.conv import conv

LAYOUT = ("NHWC", "HWIO", "NHWC")
CASES = [(1, 2, (4, 4)), (3, 1, (4, 5)), (3, 2, (7, 4)), (4, 2, (4, 6)), (5, 2, (7, 4))]


def _lax_conv(x, kernel, strides):
    return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=LAYOUT)


def _lax_transpose(x, kernel, strides):
    return lax.conv_transpose(x, kernel, strides, "SAME")


PAIRS = {"conv": (conv, _lax_conv), "transpose": (nets.conv_transpose, _lax_transpose)}


def _inputs(k, size, channels=(3, 2), dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(14))
    x = jax.random.normal(keys[0], (2, *size, channels[0]), dtype)
    return x, jax.random.normal(keys[1], (k, k, *channels), dtype)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("k", "s", "size"), CASES)
def test_equals_lax_to_the_second_order(name, k, s, size):
    ours, oracle = PAIRS[name]
    with jax.enable_x64(True):
        inputs = _inputs(k, size)

        def orders(op):
            def value(x, kernel):
                return jnp.sum(jnp.sin(op(x, kernel, (s, s))))

            def penalty(x, kernel):
                first = jax.grad(value, (0, 1))(x, kernel)
                return jnp.sum(first[0] ** 2) + jnp.sum(jnp.sin(first[1]))

            second = jax.grad(penalty, (0, 1))(*inputs)
            return op(*inputs, (s, s)), jax.grad(value, (0, 1))(*inputs), second

        result, expected = jax.jit(lambda: orders(ours))(), jax.jit(lambda: orders(oracle))()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), result, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_by_finite_differences(name):
    with jax.enable_x64(True):
        x, kernel = _inputs(4, (4, 4), (2, 2))
        op = jax.jit(lambda x, kernel: jnp.sin(PAIRS[name][0](x, kernel, (2, 2))))
        check_grads(op, (x, kernel), order=2, modes=["rev"])


@pytest.mark.parametrize("name", PAIRS)
def test_vmap_over_kernels(name):
    ours, oracle = PAIRS[name]
    x, kernel = _inputs(4, (4, 4), dtype=jnp.float32)
    kernels = jnp.stack([kernel, 2 * kernel])

    def gradient(op):
        return jax.vmap(jax.grad(lambda k: jnp.sum(jnp.sin(op(x, k, (2, 2))))))(kernels)

    np.testing.assert_allclose(gradient(ours), gradient(oracle), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_no_convolution_in_a_branch_or_loop_on_cpu(name):
    """XLA's CPU convolutions are 5 to 200 times slower inside cond, while and scan."""
    x, kernel = jnp.ones((4, 8, 8, 3)), jnp.ones((4, 4, 3, 5))

    def value(x, kernel):
        return jnp.sum(PAIRS[name][0](x, kernel, (2, 2)) ** 2)

    program = jax.jit(jax.value_and_grad(value, (0, 1))).lower(x, kernel).compile().as_text()
    assert "conditional" not in program and "while" not in program


def test_max_pool_equals_reduce_window_with_its_gradient():
    x = jax.random.normal(jax.random.key(15), (2, 7, 4, 3))

    def oracle(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    np.testing.assert_array_equal(nets.max_pool(x), oracle(x))
    np.testing.assert_array_equal(
        jax.grad(lambda x: jnp.sum(jnp.sin(nets.max_pool(x))))(x),
        jax.grad(lambda x: jnp.sum(jnp.sin(oracle(x))))(x),
    )
