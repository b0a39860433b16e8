"""A convolution with its maximum over 2x2 windows: equal to lax's two steps, at every order."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from gan_mtl import nets
from gan_mtl.nets.conv import conv
from gan_mtl.nets.pooled_conv import add_bias, larger, pooled_conv, quarters
from gan_mtl.types import Context

LAYOUT = ("NHWC", "HWIO", "NHWC")
WINDOW = (1, 2, 2, 1)
CASES = [  # padding, kernel, size, channels; all but the last two are matrix products on CPU
    ("VALID", 5, (9, 12), (3, 2)),
    ("SAME", 5, (10, 7), (1, 4)),
    ("VALID", 3, (4, 5), (2, 2)),
    ("SAME", 7, (8, 9), (2, 3)),
    ("SAME", 3, (4, 5), (2, 9)),
    ("VALID", 4, (6, 7), (2, 3)),
]


def _oracle(x, kernel, padding):
    y = lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)
    return lax.reduce_window(y, -jnp.inf, lax.max, WINDOW, WINDOW, "VALID")


def _inputs(k, size, channels, dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(14))
    x = jax.random.normal(keys[0], (2, *size, channels[0]), dtype)
    return x, jax.random.normal(keys[1], (k, k, *channels), dtype)


@pytest.mark.parametrize(("padding", "k", "size", "channels"), CASES)
def test_equals_lax_to_the_second_order(padding, k, size, channels):
    with jax.enable_x64(True):
        inputs = _inputs(k, size, channels)

        def orders(op):
            def value(x, kernel):
                return jnp.sum(jnp.sin(op(x, kernel, padding=padding)))

            def penalty(x, kernel):
                first = jax.grad(value, (0, 1))(x, kernel)
                return jnp.sum(first[0] ** 2) + jnp.sum(jnp.sin(first[1]))

            second = jax.grad(penalty, (0, 1))(*inputs)
            return op(*inputs, padding=padding), jax.grad(value, (0, 1))(*inputs), second

        def in_two(x, kernel, padding):
            return nets.max_pool(
                lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)
            )

        result, expected = jax.jit(lambda: orders(pooled_conv))(), jax.jit(lambda: orders(in_two))()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), result, expected)
        np.testing.assert_allclose(result[0], _oracle(*inputs, padding), atol=1e-12)


def test_gradients_by_finite_differences_where_the_maximum_is_linear():
    with jax.enable_x64(True):
        x, kernel = _inputs(3, (6, 7), (2, 2))
        op = jax.jit(lambda x, kernel: jnp.sin(jnp.stack(_quarters(x, kernel))))
        check_grads(op, (x, kernel), order=2, modes=["rev"])


def test_larger_shares_the_gradient_of_equal_values_like_maximum():
    a, b = jnp.array([1.0, 2.0, 3.0]), jnp.array([2.0, 2.0, 1.0])
    ours, oracle = (jax.vjp(op, a, b) for op in (larger, jnp.maximum))
    np.testing.assert_array_equal(ours[0], oracle[0])
    jax.tree.map(np.testing.assert_array_equal, ours[1](a), oracle[1](a))


def test_bias_to_the_second_order():
    with jax.enable_x64(True):
        x, bias = jax.random.normal(jax.random.key(1), (2, 3, 4, 5)), jnp.arange(5.0)
        check_grads(lambda x, b: jnp.sin(add_bias(x, b)), (x, bias), 2, modes=["rev"])


def _quarters(x, kernel) -> Any:
    return quarters(x, kernel, ((1, 2), (0, 1)))


@pytest.mark.parametrize("pads", [((3, 0), (-1, 1)), ((-1, -2), (2, 4))])
def test_negative_padding_and_odd_sizes(pads):
    with jax.enable_x64(True):
        x, kernel = _inputs(5, (11, 10), (3, 2))

        def gradient(op):
            def value(x, kernel):
                parts = op(x, kernel)
                return sum(jnp.sum(jnp.sin((i + 1) * part)) for i, part in enumerate(parts))

            return jax.jit(jax.grad(value, (0, 1)))(x, kernel)

        def oracle(x, kernel):
            y = lax.conv_general_dilated(x, kernel, (1, 1), pads, dimension_numbers=LAYOUT)
            h, w = y.shape[1] // 2 * 2, y.shape[2] // 2 * 2
            return [y[:, a:h:2, b:w:2] for a in (0, 1) for b in (0, 1)]

        ours = gradient(lambda x, k: quarters(x, k, pads))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), ours, gradient(oracle)
        )


@pytest.mark.slow
def test_equal_values_share_the_gradient_as_in_max_pool():
    x, kernel = jnp.ones((1, 6, 6, 1)), jnp.ones((3, 3, 1, 1))

    def gradient(op):
        return jax.grad(lambda x: op(x, kernel, padding="VALID").sum())(x)

    expected = gradient(lambda *given, **way: nets.max_pool(conv(*given, **way)))
    np.testing.assert_allclose(gradient(pooled_conv), expected, rtol=1e-6)
    assert float(expected[0, 0, 0, 0]) == 0.25


def test_bfloat16_is_summed_in_float32():
    x, kernel = _inputs(5, (28, 28), (4, 10), jnp.float32)
    half = (x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))

    def gradients(x, kernel):
        parts, pullback = jax.vjp(_quarters, x, kernel)
        return parts, pullback(jax.tree.map(jnp.ones_like, parts))

    ours = jax.jit(gradients)(*half)
    oracle = jax.jit(gradients)(*(part.astype(jnp.float32) for part in half))
    for one, exact in zip(jax.tree.leaves(ours), jax.tree.leaves(oracle), strict=True):
        assert one.dtype == jnp.bfloat16
        np.testing.assert_allclose(one.astype(jnp.float32), exact, rtol=2**-7, atol=2**-7)


@pytest.mark.slow
def test_vmap_over_kernels():
    x, kernel = _inputs(5, (8, 8), (3, 2), jnp.float32)
    kernels = jnp.stack([kernel, 2 * kernel])

    def gradient(op):
        return jax.vmap(jax.grad(lambda k: jnp.sum(jnp.sin(op(x, k, padding="SAME")))))(kernels)

    np.testing.assert_allclose(gradient(pooled_conv), gradient(_oracle), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("platform", "channels", "products"),
    [("cpu", (3, 2), 1), ("cpu", (3, 32), 0), ("cuda", (3, 2), 0), ("tpu", (3, 2), 0)],
)
def test_matrix_products_on_cpu_alone_and_where_they_gain(platform, channels, products):
    x, kernel = _inputs(5, (8, 8), channels, jnp.float32)
    program = jax.jit(pooled_conv).trace(x, kernel)
    text = program.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.dot_general") == products
    assert text.count("stablehlo.convolution") == 1 - products


def test_neither_convolution_nor_branch_nor_loop_in_a_gradient_on_cpu():
    x, kernel = jnp.ones((4, 8, 8, 3)), jnp.ones((5, 5, 3, 5))

    def value(x, kernel):
        return jnp.sum(pooled_conv(x, kernel) ** 2)

    program = jax.jit(jax.value_and_grad(value, (0, 1))).lower(x, kernel).compile().as_text()
    assert program and not any(word in program for word in ("conditional", "while", "convolution("))


def test_pooled_layer_is_the_layer_and_max_pool():
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 2))
    context = Context(jax.random.key(1), jnp.zeros((), jnp.int32))
    plain: Any = nets.Conv(3, 5)
    both: Any = nets.Conv(3, 5, pooled=True)
    params = plain.init(jax.random.key(2), x, context=context)
    params = jax.tree.map(lambda p: p + 0.1, params)
    expected = nets.max_pool(plain.apply(params, x, context=context))
    np.testing.assert_allclose(both.apply(params, x, context=context), expected, atol=1e-5)
    with pytest.raises(ValueError, match="pooled with stride=2; use stride=1 or max_pool"):
        nets.Conv(3, 5, 2, pooled=True).init(jax.random.key(2), x, context=context)
