"""Affine maps of one image: homogeneous matrices and bilinear resampling.

A matrix maps a pixel of the *output* to the place in the input that it is taken from, both as
(x, y, 1) from the middle of the image.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Matrix = Float[Array, "3 3"]
Number = float | Array


def compose(*matrices: Float[Array, "r r"]) -> Float[Array, "r r"]:
    """The product, left to right, in full precision on every backend."""
    return functools.reduce(functools.partial(jnp.matmul, precision="highest"), matrices)


def translation(x: Number, y: Number) -> Matrix:
    """By (x, y) pixels."""
    return jnp.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: Number, y: Number) -> Matrix:
    """By x and y, about the middle."""
    return jnp.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def rotation(cosine: Number, sine: Number) -> Matrix:
    """By the angle of this cosine and sine, about the middle."""
    return jnp.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def reflected(index: Int[Array, " *dims"], size: int) -> Int[Array, " *dims"]:
    """Indices into an axis of `size` pixels that goes on beyond its ends as between two mirrors.

    The border pixels themselves are not doubled: -1 is 1, `size` is `size - 2`.
    """
    last = size - 1
    return last - jnp.abs(last - index % max(2 * last, 1))


def resample(image: Float[Array, "h w c"], matrix: Matrix) -> Float[Array, "h w c"]:
    """Bilinear values of the image at the places where the matrix sends the pixels.

    The identity returns the image bit for bit; beyond the borders it goes on by reflection.
    """
    h, w, _ = image.shape
    middle_x, middle_y = (w - 1) / 2, (h - 1) / 2
    x, y = jnp.meshgrid(jnp.arange(w) - middle_x, jnp.arange(h) - middle_y)
    at_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + middle_x
    at_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + middle_y
    left, top = jnp.floor(at_x), jnp.floor(at_y)
    to_right = (at_x - left).astype(image.dtype)[..., None]
    to_bottom = (at_y - top).astype(image.dtype)[..., None]
    columns = [reflected(left.astype(jnp.int32) + i, w) for i in (0, 1)]
    rows = [reflected(top.astype(jnp.int32) + i, h) for i in (0, 1)]
    upper, lower = (
        (1 - to_right) * image[row, columns[0]] + to_right * image[row, columns[1]] for row in rows
    )
    return (1 - to_bottom) * upper + to_bottom * lower
