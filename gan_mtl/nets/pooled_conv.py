"""A convolution and the maximum over 2x2 windows of its outputs, in one, for their speed on CPU.

Written as the maximum of the four outputs of every window, its *quarters*: these are convolutions
too, linear in images and kernel, and the three functions of `conv.py` are here again for them, each
the derivative of the others. On GPU and TPU quarters are strided slices of `conv`.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_mtl.nets import conv, conv_cpu, pooled_conv_cpu
from gan_mtl.nets.pooled_conv_cpu import Pads, Quarters


def pooled_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw c o"],
    bias: Float[Array, " o"] | None = None,
    padding: Literal["SAME", "VALID"] = "SAME",
) -> Float[Array, "n H//2 W//2 o"]:
    """`conv.max_pool(conv.conv(x, kernel, padding=padding) + bias)`, to rounding.

    The bias is added to the maximum, which is the same.

    Args:
        x: images, shape [n, h, w, c].
        kernel: shape [kh, kw, c, o], dtype of `x`.
        bias: one value per channel, dtype of `x`.
        padding: that of `conv.conv`.

    Returns:
        Shape [n, H // 2, W // 2, o]. Where several values of a window are equal they share the
        gradient, as in `max_pool`.
    """
    if conv_cpu.gains(kernel.shape, (1, 1)):
        y = _maximum(x, kernel, padding)
    else:
        y = conv.max_pool(conv.conv(x, kernel, padding=padding))
    return y if bias is None else add_bias(y, bias)


def _maximum(x: Array, kernel: Array, padding: Literal["SAME", "VALID"]) -> Array:
    """`pooled_conv` by quarters, without bias."""
    rows, columns = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], (1, 1), padding)
    parts: Any = quarters(x, kernel, (rows, columns))
    upper_left, upper_right, lower_left, lower_right = parts
    left, right = larger(upper_left, lower_left), larger(upper_right, lower_right)
    return larger(left, right)


@jax.custom_jvp
def larger(a: Float[Array, "*n"], b: Float[Array, "*n"]) -> Any:
    """`jnp.maximum`, equal values share the gradient; its own gradient divides.

    XLA does not put a division in the loops that use it but writes it down, in its own order.
    """
    return jnp.maximum(a, b)


@larger.defjvp
def _larger_jvp(primals, tangents):
    (a, b), (da, db) = primals, tangents
    half = (da + db) / 2
    return larger(a, b), jnp.where(a > b, da, jnp.where(a < b, db, half))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def quarters(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c o"], pads: Pads) -> Any:
    """`conv.padded_conv` of stride 1, split into the four places of 2x2 windows.

    Returns:
        Four arrays [n, H // 2, W // 2, o]: upper left, upper right, lower left, lower right.
    """

    def native(x, kernel):
        return _split(conv.padded_conv(x, kernel, (1, 1), pads))

    matrices = functools.partial(pooled_conv_cpu.quarters, pads=pads)
    return lax.platform_dependent(x, kernel, cpu=matrices, default=native)


def _quarters_fwd(x, kernel, pads):
    return quarters(x, kernel, pads), (x, kernel)


def _quarters_bwd(pads, saved, gs):
    x, kernel = saved
    dx = input_gradient(gs, kernel, x.shape[1:3], pads)
    return dx, kernel_gradient(x, gs, kernel.shape[0], pads)


quarters.defvjp(_quarters_fwd, _quarters_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def input_gradient(
    gs: Quarters, kernel: Float[Array, "k k c o"], size: tuple[int, int], pads: Pads
) -> Any:
    """The linear transpose of `quarters` in its images, shape [n, *size, c]."""

    def native(gs, kernel):
        g = _joined(gs, size, kernel.shape[0], pads)
        return conv.input_gradient(g, kernel, size, (1, 1), pads)

    matrices = functools.partial(pooled_conv_cpu.input_gradient, size=size, pads=pads)
    return lax.platform_dependent(gs, kernel, cpu=matrices, default=native)


def _input_gradient_fwd(gs, kernel, size, pads):
    return input_gradient(gs, kernel, size, pads), (gs, kernel)


def _input_gradient_bwd(size, pads, saved, x):
    del size
    gs, kernel = saved
    return quarters(x, kernel, pads), kernel_gradient(x, gs, kernel.shape[0], pads)


input_gradient.defvjp(_input_gradient_fwd, _input_gradient_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def kernel_gradient(x: Float[Array, "n h w c"], gs: Quarters, k: int, pads: Pads) -> Any:
    """The linear transpose of `quarters` in its kernel, shape [k, k, c, o]."""

    def native(x, gs):
        g = _joined(gs, x.shape[1:3], k, pads)
        return conv.kernel_gradient(x, g, (k, k), (1, 1), pads)

    matrices = functools.partial(pooled_conv_cpu.kernel_gradient, k=k, pads=pads)
    return lax.platform_dependent(x, gs, cpu=matrices, default=native)


def _kernel_gradient_fwd(x, gs, k, pads):
    return kernel_gradient(x, gs, k, pads), (x, gs)


def _kernel_gradient_bwd(k, pads, saved, kernel):
    del k
    x, gs = saved
    return input_gradient(gs, kernel, x.shape[1:3], pads), quarters(x, kernel, pads)


kernel_gradient.defvjp(_kernel_gradient_fwd, _kernel_gradient_bwd)


@jax.custom_vjp
def add_bias(x: Float[Array, "n h w o"], bias: Float[Array, " o"]) -> Any:
    """One value per channel added to images, shape [n, h, w, o]."""
    return x + bias.reshape(1, 1, 1, -1)


@jax.custom_vjp
def spread(g: Float[Array, "n h w o"]) -> Any:
    """The linear transpose of `add_bias`: `g` itself and its sum over examples and places, [o]."""

    def native(g):
        return g, g.sum((0, 1, 2))

    return lax.platform_dependent(g, cpu=pooled_conv_cpu.spread, default=native)


add_bias.defvjp(lambda x, bias: (add_bias(x, bias), None), lambda _, g: spread(g))
spread.defvjp(lambda g: (spread(g), None), lambda _, both: (add_bias(*both),))


def _split(y: Float[Array, "n h w o"]) -> Quarters:
    """The four places of every window; an odd last row or column is left out."""
    h, w = y.shape[1] // 2 * 2, y.shape[2] // 2 * 2
    return y[:, 0:h:2, 0:w:2], y[:, 0:h:2, 1:w:2], y[:, 1:h:2, 0:w:2], y[:, 1:h:2, 1:w:2]


def _joined(gs: Quarters, size: tuple[int, ...], k: int, pads: Pads) -> Array:
    """The linear transpose of `_split`, for images of this size."""
    n, _, _, o = gs[0].shape
    high, wide = (m + sum(pad) - k + 1 for m, pad in zip(size, pads, strict=True))
    outputs = jax.ShapeDtypeStruct((n, high, wide, o), gs[0].dtype)
    return jax.linear_transpose(_split, outputs)(gs)[0]
