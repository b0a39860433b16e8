"""Stride-1 convolutions with few channels, rearranged for XLA's CPU backend.

Its kernels go through channels in vectors, which a LeNet's 1, 10 and 20 channels do not fill. With
2x2 pixels as the channels of one (space to depth) the same convolution has half the size, 4 times
the channels and a kernel of (k + 1) / 2: 44 % more operations for 5x5, done 1.4 to 3 times faster.
A whole LeNet step (batch 256, 28x28, 2 cores) went from 37 ms to 20. `conv.py` chooses this when a
program is lowered for CPU; it equals the convolution to rounding.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

LAYOUT = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]


def gains(kernel_shape: tuple[int, ...], strides: tuple[int, int]) -> bool:
    """Whether blocks are faster for a kernel (kh, kw, c, o), as measured in whole steps."""
    kh, kw, c, o = kernel_shape
    square = strides == (1, 1) and kh == kw and kh % 2 == 1 and kh >= 3
    return square and c <= 16 and o <= (8 if kh == 3 else 20)


def conv(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c o"], pads: Pads) -> Array:
    """`conv.padded_conv` of stride 1, shape [n, H, W, o]."""
    k, size = kernel.shape[0], _size(x.shape[1:3], kernel.shape[0], pads)
    blocks = to_depth(_pad(x, k, size, pads))
    y = lax.conv_general_dilated(
        blocks, to_blocks(kernel), (1, 1), "VALID", dimension_numbers=LAYOUT
    )
    return to_space(y)[:, : size[0], : size[1]]


def input_gradient(
    g: Float[Array, "n H W o"], kernel: Float[Array, "k k c o"], size: tuple[int, int], pads: Pads
) -> Array:
    """`conv.input_gradient` of stride 1, shape [n, *size, c]."""
    image = jax.ShapeDtypeStruct((g.shape[0], *size, kernel.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: conv(x, kernel, pads), image)(g)[0]


def kernel_gradient(
    x: Float[Array, "n h w c"], g: Float[Array, "n H W o"], k: int, pads: Pads
) -> Array:
    """`conv.kernel_gradient` of stride 1, shape [k, k, c, o]."""
    kernel = jax.ShapeDtypeStruct((k, k, x.shape[3], g.shape[3]), g.dtype)
    return jax.linear_transpose(lambda kernel: conv(x, kernel, pads), kernel)(g)[0]


def to_depth(x: Float[Array, "n 2H 2W c"]) -> Float[Array, "n H W 4c"]:
    """Blocks of 2x2 pixels as channels (row, column, channel)."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // 2, w // 2, 4 * c)


def to_space(y: Float[Array, "n H W 4o"]) -> Float[Array, "n 2H 2W o"]:
    """The inverse of `to_depth`."""
    n, h, w, o = y.shape
    y = y.reshape(n, h, w, 2, 2, o // 4).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(n, 2 * h, 2 * w, o // 4)


def to_blocks(kernel: Float[Array, "k k c o"]) -> Float[Array, "(k+1)/2 (k+1)/2 4c 4o"]:
    """The kernel between blocks, w2[q, p, a] = w[2q + p - a] or 0, for rows and for columns."""
    k, _, c, o = kernel.shape
    half = (k + 1) // 2

    def shifted(a: int, b: int) -> Any:
        edges = ((a, 1 - a, 0), (b, 1 - b, 0), (0, 0, 0), (0, 0, 0))
        return lax.pad(kernel, jnp.zeros((), kernel.dtype), edges)

    four = jnp.stack([shifted(a, b) for a in (0, 1) for b in (0, 1)])
    four = four.reshape(4, half, 2, half, 2, c, o).transpose(1, 3, 2, 4, 5, 0, 6)
    return four.reshape(half, half, 4 * c, 4 * o)


def _size(size: tuple[int, ...], k: int, pads: Pads) -> tuple[int, int]:
    """(H, W) of the outputs."""
    high, wide = (n + sum(pad) - k + 1 for n, pad in zip(size, pads, strict=True))
    return high, wide


def _pad(x: Array, k: int, size: tuple[int, int], pads: Pads) -> Array:
    """Zeros around `x`, so that the outputs are an even number."""
    ends = [
        (low, m + m % 2 + k - 1 - n - low, 0)
        for n, m, (low, _) in zip(x.shape[1:3], size, pads, strict=True)
    ]
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *ends, (0, 0, 0)))
