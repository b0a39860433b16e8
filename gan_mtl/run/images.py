"""Pictures of batches of images: grids, and PNG files that are there whole or not at all."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from gan_mtl.run.whole import whole

CELL = 48  # smaller images are enlarged to about this many pixels
GAP = 2
BACKGROUND = 255
NOT_A_NUMBER = (255, 0, 255)


def grid(
    images: Float[np.ndarray, "n h w c"] | UInt8[np.ndarray, "n h w c"],
    columns: int,
    value_range: tuple[float, float] | None = None,
    *,
    row_labels: Sequence[str] = (),
    caption: str = "",
) -> UInt8[np.ndarray, "height width 3"]:
    """Lays images out row by row, small ones enlarged by an integer factor without smoothing.

    Args:
        images: grey (c = 1) or colour (c = 3).
        columns: images a row; the last row may be shorter.
        value_range: the floats that are black and white; values beyond it are clipped, and those
            that are not finite are magenta. Not used for uint8.
        row_labels: one text a row, to its left.
        caption: one line above.

    Raises:
        ValueError: for images of another shape or dtype, floats without a range, no column.
    """
    images = np.asarray(images)
    _check(images, columns, value_range)
    pixels = _pixels(images, value_range)
    factor = max(1, -(-CELL // max(pixels.shape[1:3])))
    pixels = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    n, h, w, _ = pixels.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    shape = (rows * (h + GAP) + GAP, columns * (w + GAP) + GAP, 3)
    canvas = np.full(shape, BACKGROUND, np.uint8)
    for i, image in enumerate(pixels):
        top, left = GAP + i // columns * (h + GAP), GAP + i % columns * (w + GAP)
        canvas[top : top + h, left : left + w] = image
    if row_labels:
        canvas = _with_labels(canvas, row_labels, rows, h + GAP)
    return _with_caption(canvas, caption) if caption else canvas


def write_png(path: str | os.PathLike, image: UInt8[np.ndarray, "h w c"]) -> pathlib.Path:
    """Writes a grey or colour image, whole or not at all; makes the folder if need be."""
    path = pathlib.Path(path)
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            f"{path}: image has dtype {image.dtype} and shape {list(image.shape)}; give uint8 "
            "[h, w, 1] or [h, w, 3]"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
            unfinished, format="png", optimize=True
        )
    return path


def _check(images: np.ndarray, columns: int, value_range: tuple[float, float] | None) -> None:
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"images have shape {list(images.shape)}; give [n, h, w, 1] (grey) or [n, h, w, 3] "
            "(colour), at least one"
        )
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if images.dtype == np.uint8:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images have dtype {images.dtype}; give floats or uint8")
    if value_range is None or not value_range[0] < value_range[1]:
        raise ValueError(
            f"value_range is {value_range}; for {images.dtype} images give the values of black and "
            "white, such as (-1, 1)"
        )


def _pixels(images: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """RGB values, uint8."""
    if images.dtype == np.uint8:
        return np.broadcast_to(images, (*images.shape[:3], 3))
    assert value_range is not None
    low, high = value_range
    finite = np.isfinite(images)
    unit = (np.where(finite, images, low).astype(np.float64) - low) / (high - low)
    pixels = np.broadcast_to(np.rint(unit.clip(0, 1) * 255), (*images.shape[:3], 3))
    return np.where(finite.all(axis=3, keepdims=True), pixels, NOT_A_NUMBER).astype(np.uint8)


def _with_labels(canvas: np.ndarray, labels: Sequence[str], rows: int, pitch: int) -> np.ndarray:
    if len(labels) != rows:
        raise ValueError(f"there are {len(labels)} row labels for {rows} rows; give one a row")
    font = ImageFont.load_default()
    width = int(max(font.getlength(label) for label in labels)) + 3 * GAP
    margin = Image.new("RGB", (width, len(canvas)), (BACKGROUND,) * 3)
    draw = ImageDraw.Draw(margin)
    for row, label in enumerate(labels):
        place = (width - GAP, GAP + row * pitch + pitch // 2)
        draw.text(place, label, fill=(0, 0, 0), font=font, anchor="rm")
    return np.concatenate([np.asarray(margin), canvas], axis=1)


def _with_caption(canvas: np.ndarray, caption: str) -> np.ndarray:
    font = ImageFont.load_default()
    left, top, right, bottom = font.getbbox(caption)
    width = max(canvas.shape[1], int(right - left) + 4 * GAP)
    head = Image.new("RGB", (width, int(bottom - top) + 4 * GAP), (BACKGROUND,) * 3)
    ImageDraw.Draw(head).text((2 * GAP, 2 * GAP - top), caption, fill=(0, 0, 0), font=font)
    padding = ((0, 0), (0, width - canvas.shape[1]), (0, 0))
    padded = np.pad(canvas, padding, constant_values=BACKGROUND)
    return np.concatenate([np.asarray(head), padded])
