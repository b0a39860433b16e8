"""Resizing by 2 with the filter [1, 3, 3, 1] (StyleGAN2): separable, zeros around the images.

Written as sums of shifted slices; a depthwise convolution is slow on CPU in both directions.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

TAPS = (0.125, 0.375, 0.375, 0.125)  # of rows and of columns; they sum to 1


def blur(x: Float[Array, "n h w c"], pads: tuple[int, int]) -> Float[Array, "n H W c"]:
    """`x` filtered with zeros (before, after) rows and columns; may be negative.

    Args:
        x: shape [n, h, w, c].
        pads: rows and columns of zeros before and after.

    Returns:
        Shape [n, h + sum(pads) - 3, w + sum(pads) - 3, c].
    """
    edge = (*pads, 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), edge, edge, (0, 0, 0)))
    for axis in (1, 2):
        size = x.shape[axis] - 3
        shifted = (lax.slice_in_dim(x, k, k + size, axis=axis) for k in range(4))
        x = sum(tap * part for tap, part in zip(TAPS, shifted, strict=True))  # type: ignore
    return x


def upsample_blurred(x: Float[Array, "n h w c"]) -> Float[Array, "n 2h 2w c"]:
    """Zeros between the pixels, then the filter times 4: `upsample_2d` of StyleGAN2.

    Between neighbours a and b stand (3 a + b) / 4 and (a + 3 b) / 4; beyond the edge is zero.
    """
    for axis in (1, 2):
        edge = [(1, 1, 0) if i == axis else (0, 0, 0) for i in range(4)]
        x = lax.pad(x, jnp.zeros((), x.dtype), edge)
        size = x.shape[axis] - 1
        a, b = (lax.slice_in_dim(x, k, k + size, axis=axis) for k in (0, 1))
        pairs = jnp.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=axis + 1)
        shape = [2 * size if i == axis else side for i, side in enumerate(x.shape)]
        x = lax.slice_in_dim(pairs.reshape(shape), 1, 2 * size - 1, axis=axis)
    return x


def downsample_blurred(x: Float[Array, "n 2h 2w c"]) -> Float[Array, "n h w c"]:
    """The filter, then every other pixel: `downsample_2d` of StyleGAN2."""
    return blur(x, (1, 1))[:, ::2, ::2]
