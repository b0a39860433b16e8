"""Convolutions on images [n, h, w, c] whose gradients are fast on CPU.

XLA's CPU kernels are quick for plain strided convolutions and slow for some that autodiff makes of
them: the kernel gradient of `lax.conv_transpose` takes 8 times what it need. So a convolution, its
transpose and its kernel gradient are three functions here, each the derivative of the others.
Gradients of any order work (gradient penalties take two); forward mode (`jax.jvp`) does not.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax
from jax import lax
from jaxtyping import Array, Float

from gan_mtl.nets import conv_cpu

Strides = tuple[int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw c o"],
    strides: Strides = (1, 1),
    padding: Literal["SAME", "VALID"] = "SAME",
) -> Float[Array, "n H W o"]:
    """Strided convolution (cross-correlation), equal to `lax.conv_general_dilated`.

    Args:
        x: images, shape [n, h, w, c].
        kernel: shape [kh, kw, c, o], dtype of `x`.
        strides: of rows and columns.
        padding: "SAME" is with zeros, "VALID" without.

    Returns:
        Shape [n, H, W, o]; under "SAME" H is ceil(h / strides[0]).
    """
    rows, columns = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return padded_conv(x, kernel, strides, (rows, columns))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def padded_conv(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw c o"], strides: Strides, pads: Pads
) -> Any:
    """`conv` with explicit zeros (before, after) rows and columns; may be negative.

    Returns:
        Shape [n, H, W, o] with H = (h + sum(pads[0]) - kh) // strides[0] + 1.
    """

    def native(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_LAYOUT)

    if not conv_cpu.gains(kernel.shape, strides):
        return native(x, kernel)
    blocks = functools.partial(conv_cpu.conv, pads=pads)
    return lax.platform_dependent(x, kernel, cpu=blocks, default=native)


def _conv_fwd(x, kernel, strides, pads):
    return padded_conv(x, kernel, strides, pads), (x, kernel)


def _conv_bwd(strides, pads, saved, g):
    x, kernel = saved
    dx = input_gradient(g, kernel, x.shape[1:3], strides, pads)
    return dx, kernel_gradient(x, g, kernel.shape[:2], strides, pads)


padded_conv.defvjp(_conv_fwd, _conv_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def input_gradient(
    g: Float[Array, "n H W o"],
    kernel: Float[Array, "kh kw c o"],
    size: tuple[int, int],
    strides: Strides,
    pads: Pads,
) -> Any:
    """The linear transpose of `padded_conv` in its images: a transposed convolution.

    Args:
        g: cotangent of the outputs, shape [n, H, W, o].
        kernel: that of `padded_conv`, shape [kh, kw, c, o].
        size: (h, w) of the images.
        strides: those of `padded_conv`.
        pads: those of `padded_conv`.

    Returns:
        Shape [n, h, w, c].
    """

    def native(g, kernel):
        flipped = kernel[::-1, ::-1].swapaxes(2, 3)
        full = tuple(
            (k - 1 - low, n - 1 + low - (m - 1) * s)
            for k, n, m, s, (low, _) in zip(
                kernel.shape[:2], size, g.shape[1:3], strides, pads, strict=True
            )
        )
        return lax.conv_general_dilated(
            g, flipped, (1, 1), full, lhs_dilation=strides, dimension_numbers=_LAYOUT
        )

    if not conv_cpu.gains(kernel.shape, strides):
        return native(g, kernel)
    blocks = functools.partial(conv_cpu.input_gradient, size=size, pads=pads)
    return lax.platform_dependent(g, kernel, cpu=blocks, default=native)


def _input_gradient_fwd(g, kernel, size, strides, pads):
    return input_gradient(g, kernel, size, strides, pads), (g, kernel)


def _input_gradient_bwd(size, strides, pads, saved, x):
    del size
    g, kernel = saved
    return padded_conv(x, kernel, strides, pads), kernel_gradient(
        x, g, kernel.shape[:2], strides, pads
    )


input_gradient.defvjp(_input_gradient_fwd, _input_gradient_bwd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def kernel_gradient(
    x: Float[Array, "n h w c"],
    g: Float[Array, "n H W o"],
    window: tuple[int, int],
    strides: Strides,
    pads: Pads,
) -> Any:
    """The linear transpose of `padded_conv` in its kernel.

    Args:
        x: images, shape [n, h, w, c].
        g: cotangent of the outputs, shape [n, H, W, o].
        window: (kh, kw).
        strides: those of `padded_conv`.
        pads: those of `padded_conv`.

    Returns:
        Shape [kh, kw, c, o].
    """

    def native(x, g):
        ends = tuple(
            (low, (m - 1) * s + k - n - low)
            for k, n, m, s, (low, _) in zip(
                window, x.shape[1:3], g.shape[1:3], strides, pads, strict=True
            )
        )
        return lax.conv_general_dilated(
            x, g, (1, 1), ends, rhs_dilation=strides, dimension_numbers=("CHWN", "IHWO", "HWNC")
        )

    if not conv_cpu.gains((*window, x.shape[3], g.shape[3]), strides):
        return native(x, g)
    blocks = functools.partial(conv_cpu.kernel_gradient, k=window[0], pads=pads)
    return lax.platform_dependent(x, g, cpu=blocks, default=native)


def _kernel_gradient_fwd(x, g, window, strides, pads):
    return kernel_gradient(x, g, window, strides, pads), (x, g)


def _kernel_gradient_bwd(window, strides, pads, saved, kernel):
    del window
    x, g = saved
    return input_gradient(g, kernel, x.shape[1:3], strides, pads), padded_conv(
        x, kernel, strides, pads
    )


kernel_gradient.defvjp(_kernel_gradient_fwd, _kernel_gradient_bwd)


def conv_transpose(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw c o"], strides: Strides = (2, 2)
) -> Float[Array, "n sh sw o"]:
    """Transposed convolution to `strides` times the size, equal to `lax.conv_transpose` ("SAME").

    Args:
        x: shape [n, h, w, c].
        kernel: shape [kh, kw, c, o], dtype of `x`.
        strides: of rows and columns.

    Returns:
        Shape [n, h * strides[0], w * strides[1], o].
    """
    return transposed_conv(x, kernel[::-1, ::-1].swapaxes(2, 3), strides)


def transposed_conv(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw o c"], strides: Strides = (2, 2)
) -> Float[Array, "n sh sw o"]:
    """`conv_transpose` with the kernel of the convolution that is transposed, from o to c."""
    size = (x.shape[1] * strides[0], x.shape[2] * strides[1])
    rows, columns = (_transposed_pads(k, s) for k, s in zip(kernel.shape[:2], strides, strict=True))
    return input_gradient(x, kernel, size, strides, (rows, columns))


def _transposed_pads(k: int, s: int) -> tuple[int, int]:
    """Padding of the strided convolution whose transpose `lax.conv_transpose` is, for "SAME"."""
    low = k - 1 if s > k - 1 else -(-(k + s - 2) // 2)
    return k - 1 - low, low + 1 - s


def max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 c"]:
    """Maximum over 2x2 windows with stride 2; an odd last row or column is left out.

    Written as the maximum of four strided slices: the gradient of `reduce_window` is 7 times slower
    on CPU. Where several values of a window are equal they share the gradient.
    """
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    rows = jax.numpy.maximum(x[:, 0:h:2], x[:, 1:h:2])
    return jax.numpy.maximum(rows[:, :, 0:w:2], rows[:, :, 1:w:2])
