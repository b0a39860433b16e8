"""Pooled convolutions with few channels as matrix products, for XLA's CPU backend.

The four outputs of a window are four convolutions of stride 2, whose kernels in a (k + 1)-window
are the rows of one matrix [4 o, (k + 1)² c]: 44 % more products than a 5x5 kernel needs, in
matrices that are large enough to be multiplied at the machine's full speed. The examples are the
last axis, so that every other operation, the maximum and its gradient among them, is on contiguous
vectors. Columns are the same for the convolution and for all its kernel gradients: K rows share
them.

A LeNet in milliseconds of one core (CPU time, batch 256), blocks of `conv_cpu` and now: Adam's step
of two tasks 30.8 and 22.1, with 2 rows 49.9 and 34.2, 3 rows 69.5 and 48.6, 10 rows 200 and 133;
temporary memory is kept in one arena for both. Alone, with PyTorch's last: kernel gradient of the
first layer 6.7, 2.9 and 2.6, of the second 5.7, 3.9 and 4.8; its input gradient 7.5, 3.1 and 4.8;
the maximum of the first, backward 3.2, 1.1 and 0.7.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Pads = tuple[tuple[int, int], tuple[int, int]]
Quarters = tuple[Array, Array, Array, Array]  # [n, H, W, o] each: outputs (2i + a, 2j + b), ab


def quarters(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c o"], pads: Pads) -> Quarters:
    """`pooled_conv.quarters`."""
    k, _, _, o = kernel.shape
    size = halves(x.shape[1:3], k, pads)
    y = lax.dot(to_matrix(kernel), columns(x, k, size, pads))
    return _apart(y.reshape(4, o, *size, x.shape[0]))


def input_gradient(
    gs: Quarters, kernel: Float[Array, "k k c o"], size: tuple[int, int], pads: Pads
) -> Array:
    """`pooled_conv.input_gradient`, shape [n, *size, c]."""
    k, _, c, _ = kernel.shape
    n, high, wide, _ = gs[0].shape
    half = (k + 1) // 2
    windows = lax.dot(
        to_matrix(kernel).T, _together(gs), preferred_element_type=_accumulated(kernel)
    )
    windows = windows.reshape(half, 2, half, 2, c, high, wide, n)
    zero = jnp.zeros((), windows.dtype)
    still = (0, 0, 0)
    blocks = sum(
        lax.pad(
            windows[q, :, r],
            zero,
            (still, still, still, (q, half - 1 - q, 0), (r, half - 1 - r, 0), still),
        )
        for q in range(half)
        for r in range(half)
    )
    x = jnp.asarray(blocks, kernel.dtype).transpose(5, 3, 0, 4, 1, 2)
    x = x.reshape(n, 2 * (high + half - 1), 2 * (wide + half - 1), c)
    crop = [
        (-low, m + low - have, 0)
        for m, have, (low, _) in zip(size, x.shape[1:3], pads, strict=True)
    ]
    return lax.pad(x, jnp.zeros((), x.dtype), (still, *crop, still))


def kernel_gradient(x: Float[Array, "n h w c"], gs: Quarters, k: int, pads: Pads) -> Array:
    """`pooled_conv.kernel_gradient`, shape [k, k, c, o]."""
    c, (_, high, wide, o) = x.shape[3], gs[0].shape
    found = lax.dot_general(
        _together(gs),
        columns(x, k, (high, wide), pads),
        (((1,), (1,)), ((), ())),
        preferred_element_type=_accumulated(x),
    )
    found = found.reshape(2, 2, o, k + 1, k + 1, c)
    kernel = sum(found[a, b, :, a : a + k, b : b + k] for a in (0, 1) for b in (0, 1))
    return jnp.asarray(kernel, x.dtype).transpose(1, 2, 3, 0)


def spread(g: Float[Array, "n h w o"]) -> tuple[Array, Array]:
    """`pooled_conv.spread`; XLA would sum it in the order [n, h, w, o] and turn it round twice."""
    last = _examples_last(g)
    return last.transpose(3, 1, 2, 0), last.sum((1, 2, 3))


def halves(size: tuple[int, ...], k: int, pads: Pads) -> tuple[int, int]:
    """(H, W) after pooling; an odd last row or column of the convolution is left out."""
    high, wide = ((n + sum(pad) - k + 1) // 2 for n, pad in zip(size, pads, strict=True))
    return high, wide


def columns(
    x: Float[Array, "n h w c"], k: int, size: tuple[int, int], pads: Pads
) -> Float[Array, "(k+1)²c HWn"]:
    """The (k + 1)-windows at every second pixel: rows are (row, column, channel) of a window."""
    n, h, w, c = x.shape
    ends = [
        (low, 2 * half + k - 1 - m - low, 0)
        for m, half, (low, _) in zip((h, w), size, pads, strict=True)
    ]
    x = lax.pad(_examples_last(x), jnp.zeros((), x.dtype), ((0, 0, 0), *ends, (0, 0, 0)))
    high, wide = size
    windows = [
        x[:, p : p + 2 * high - 1 : 2, q : q + 2 * wide - 1 : 2]
        for p in range(k + 1)
        for q in range(k + 1)
    ]
    return jnp.concatenate(windows).reshape((k + 1) ** 2 * c, high * wide * n)


def to_matrix(kernel: Float[Array, "k k c o"]) -> Float[Array, "4o (k+1)²c"]:
    """The kernel at the four places of its window, w[a, b, o, p, q, c] = w[p - a, q - b, c, o]."""
    k, _, c, o = kernel.shape

    def shifted(a: int, b: int) -> Any:
        edges = ((a, 1 - a, 0), (b, 1 - b, 0), (0, 0, 0), (0, 0, 0))
        return lax.pad(kernel, jnp.zeros((), kernel.dtype), edges)

    four = jnp.stack([shifted(a, b) for a in (0, 1) for b in (0, 1)])
    return four.transpose(0, 4, 1, 2, 3).reshape(4 * o, (k + 1) ** 2 * c)


def _examples_last(x: Float[Array, "n h w c"]) -> Float[Array, "c h w n"]:
    """The same in this order in memory too: the barrier stands where the layout is chosen."""
    return lax.optimization_barrier(x.transpose(3, 1, 2, 0))


def _together(gs: Quarters) -> Float[Array, "4o HWn"]:
    """Four quarters as one matrix."""
    n, high, wide, o = gs[0].shape
    return jnp.concatenate([g.transpose(3, 1, 2, 0) for g in gs]).reshape(4 * o, high * wide * n)


def _apart(y: Float[Array, "4 o H W n"]) -> Quarters:
    """The inverse of `_together`."""
    a, b, c, d = (y[i].transpose(3, 1, 2, 0) for i in range(4))
    return a, b, c, d


def _accumulated(x: Array) -> Any:
    """The type in which products of `x` are summed."""
    return jnp.promote_types(x.dtype, jnp.float32)
