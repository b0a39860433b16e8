"""Convolutions with their own gradients: equal to lax's, at every order, and in no loop on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from gan_mtl import nets
from gan_mtl.nets.conv import conv, padded_conv

LAYOUT = ("NHWC", "HWIO", "NHWC")
CASES = [  # kernel, stride, size, channels; the first two are rearranged on CPU
    (5, 1, (7, 4), (3, 2)),
    (3, 1, (4, 5), (2, 2)),
    (3, 1, (4, 5), (2, 9)),
    (1, 2, (4, 4), (3, 2)),
    (3, 2, (7, 4), (3, 2)),
    (4, 2, (4, 6), (3, 2)),
    (5, 2, (7, 4), (3, 2)),
]


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
@pytest.mark.parametrize(("k", "s", "size", "channels"), CASES)
def test_equals_lax_to_the_second_order(name, k, s, size, channels):
    ours, oracle = PAIRS[name]
    with jax.enable_x64(True):
        inputs = _inputs(k, size, channels)

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


@pytest.mark.parametrize(("name", "k", "s"), [("conv", 4, 2), ("conv", 5, 1), ("transpose", 4, 2)])
def test_no_convolution_in_a_branch_or_loop_on_cpu(name, k, s):
    """XLA's CPU convolutions are 5 to 200 times slower inside cond, while and scan."""
    x, kernel = jnp.ones((4, 8, 8, 3)), jnp.ones((k, k, 3, 5))

    def value(x, kernel):
        return jnp.sum(PAIRS[name][0](x, kernel, (s, s)) ** 2)

    program = jax.jit(jax.value_and_grad(value, (0, 1))).lower(x, kernel).compile().as_text()
    assert "conditional" not in program and "while" not in program


def test_negative_padding_and_odd_sizes():
    with jax.enable_x64(True):
        x, kernel = _inputs(5, (9, 8))
        pads = ((3, 0), (-1, 1))

        def gradient(op):
            return jax.jit(jax.grad(lambda x, k: jnp.sum(jnp.sin(op(x, k))), (0, 1)))(x, kernel)

        ours = gradient(lambda x, k: padded_conv(x, k, (1, 1), pads))
        oracle = gradient(
            lambda x, k: lax.conv_general_dilated(x, k, (1, 1), pads, dimension_numbers=LAYOUT)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), ours, oracle)


@pytest.mark.parametrize(("platform", "shape"), [("cpu", "3x3x12x8"), ("cuda", "5x5x3x2")])
def test_rearranged_on_cpu_alone(platform, shape):
    x, kernel = _inputs(5, (8, 8), dtype=jnp.float32)
    program = jax.jit(lambda x, k: conv(x, k)).trace(x, kernel)
    text = program.lower(lowering_platforms=(platform,)).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(convolutions) == 1 and f"tensor<{shape}xf32>" in convolutions[0]


def test_max_pool_equals_reduce_window_with_its_gradient():
    x = jax.random.normal(jax.random.key(15), (2, 7, 4, 3))

    def oracle(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    np.testing.assert_array_equal(nets.max_pool(x), oracle(x))
    np.testing.assert_array_equal(
        jax.grad(lambda x: jnp.sum(jnp.sin(nets.max_pool(x))))(x),
        jax.grad(lambda x: jnp.sum(jnp.sin(oracle(x))))(x),
    )
