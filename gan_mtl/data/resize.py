"""One way of resizing for every source, so that a number never depends on which reader was used.

The longer side is cropped about the centre to the wanted aspect ratio; then comes Pillow's Lanczos
filter, which averages when it shrinks (no aliasing). Frechet distances depend on such choices.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from gan_mtl.data.arrays import Split

Size = int | tuple[int, int]


def height_width(size: Size) -> tuple[int, int]:
    """`size` as (height, width); an int is a square.

    Raises:
        ValueError: if it is not one or two positive integers.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair):
        raise ValueError(f"size={size}; give a positive integer, or (height, width)")
    return pair


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Centre crop and Lanczos to (height, width); an image of that size comes back as it is."""
    height, width = size
    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), method=Image.Resampling.LANCZOS)


def resized(image: UInt8[np.ndarray, "h w c"], size: Size) -> UInt8[np.ndarray, "h2 w2 c"]:
    """One image to `size`, channel by channel."""
    height, width = height_width(size)
    if image.shape[:2] == (height, width):
        return image
    channels = [Image.fromarray(image[:, :, c]) for c in range(image.shape[2])]
    return np.stack([np.asarray(fit(c, (height, width))) for c in channels], axis=-1)


def resize(split: Split, size: Size) -> Split:
    """Every image of a split to `size`: [n, h, w, c] to [n, *size, c]."""
    if split.images.shape[1:3] == height_width(size):
        return split
    return split._replace(images=np.stack([resized(image, size) for image in split.images]))
