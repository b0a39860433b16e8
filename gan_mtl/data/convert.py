"""Between 8-bit images and floats, and the user's own arrays into a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from gan_mtl.data import validate
from gan_mtl.data.arrays import HIDDEN, Split


def to_float(images: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """8-bit images as float32 values, 0 becoming `low` and 255 becoming `high`.

    Written as one subtraction and one product, which no compiler fuses: NumPy and JAX give the
    same bits. The ends are exact for [0, high] and [-high, high].

    Args:
        images: uint8, any shape; a NumPy or a JAX array.
        low: the value of black.
        high: the value of white.

    Returns:
        float32, the same shape and the same kind of array.
    """
    offset = np.float32(-low * 255.0 / (high - low))
    scale = np.float32((high - low) / 255.0)
    return (images.astype(np.float32) - offset) * scale


def to_uint8(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values in [low, high] as 8-bit images, rounded to nearest, halves up.

    The error is at most (high - low) / 510. Works in float64, so that integers are exact, and on a
    thousand images at a time.
    """
    out = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), 1000):
        scaled = (images[start : start + 1000].astype(np.float64) - low) * (255.0 / (high - low))
        out[start : start + 1000] = np.floor(scaled + 0.5).clip(0, 255)
    return out


def from_arrays(
    images: Any,
    labels: Any = None,
    *,
    value_range: tuple[float, float] | None = None,
    num_classes: int | None = None,
    where: str = "",
) -> Split:
    """The user's own arrays as a split.

    Args:
        images: [n, h, w] or [n, h, w, c]; uint8, or any other number type with `value_range`.
            Stored as 8 bits: other types are rounded to the nearest of 256 levels.
        labels: [n] integers 0 .. num_classes - 1, or -1 where there is none; None is all -1.
        value_range: what black and white are, such as (0.0, 1.0) or (-1.0, 1.0).
        num_classes: checked if given.
        where: stands before the field's name in an error, such as a file name.

    Raises:
        ValueError: naming the field, the value and the remedy.
    """
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if value_range is not None:
        validate.check_range(images, value_range, where=f"{where}images")
        images = to_uint8(images, *value_range)
    validate.check_images(images, where=f"{where}images")
    given = np.full(len(images), HIDDEN, np.int32) if labels is None else np.asarray(labels)
    validate.check_labels(given, num_classes, where=f"{where}labels")
    split = Split(np.ascontiguousarray(images), given.astype(np.int32))
    validate.check_lengths(split, where=where)
    return split
