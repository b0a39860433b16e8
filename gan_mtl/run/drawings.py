"""Drawing over images: boxes, masks, heat and tags. Pixels in, pixels out.

Every picture here is uint8 [n, h, w, 3]; what is drawn on it is in the coordinates of the images
before `enlarged`, unless it is said otherwise.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from gan_mtl.data.targets import IGNORE

Pictures = UInt8[np.ndarray, "n h w 3"]

SIDE = 128  # images are enlarged to at least this many pixels along their longer side
WRONG = (230, 30, 30)
UNKNOWN = (128, 128, 128)
LINE = 12  # height of a line of tags, in pixels
GOLDEN = 0.61803398875  # neighbouring classes get hues that are far apart


def class_colours(count: int) -> UInt8[np.ndarray, "count 3"]:
    """A colour for every class; the first is black, as of a background."""
    rest = [colorsys.hsv_to_rgb(i * GOLDEN % 1, 0.85, 1.0) for i in range(max(count - 1, 0))]
    return np.rint(255 * np.array([(0.0, 0.0, 0.0), *rest])[:count]).astype(np.uint8)


def enlarged(images: UInt8[np.ndarray, "n h w c"], side: int = SIDE) -> Pictures:
    """Grey or colour images by an integer factor, without smoothing; as they are if large."""
    factor = -(-side // max(images.shape[1:3]))
    rgb = np.broadcast_to(images, (*images.shape[:3], 3))
    return rgb.repeat(factor, axis=1).repeat(factor, axis=2)


def with_masks(
    images: UInt8[np.ndarray, "n h w c"], masks: Int[np.ndarray, "n h w"], weight: float = 0.6
) -> Pictures:
    """Images of a mask's size, every pixel tinted by its class; 255 leaves it as it is.

    Args:
        weight: of the tint, in [0, 1].
    """
    colours = class_colours(IGNORE + 1)[masks].astype(np.float64)
    share = np.where(masks == IGNORE, 0.0, weight)[..., None]
    return np.rint(images * (1 - share) + colours * share).astype(np.uint8)


def with_faults(images: UInt8[np.ndarray, "n h w c"], wrong: Bool[np.ndarray, "n h w"]) -> Pictures:
    """Pale images with the pixels that are wrong in red."""
    pale = 160 + images * (95 / 255)
    return np.where(wrong[..., None], np.array(WRONG), np.rint(pale)).astype(np.uint8)


def with_heat(images: UInt8[np.ndarray, "n h w c"], heat: Float[np.ndarray, "n a b"]) -> Pictures:
    """Grey images, red where the heat is 1; a smaller map of heat is enlarged bilinearly.

    Args:
        heat: in [0, 1], clipped.
    """
    n, h, w, _ = images.shape
    grey = np.broadcast_to(images.mean(axis=3, keepdims=True), (n, h, w, 3))
    layers = [Image.fromarray(x.astype(np.float32)) for x in heat.clip(0, 1)]
    share = np.stack([np.asarray(x.resize((w, h), Image.Resampling.BILINEAR)) for x in layers])
    share = 0.75 * share[..., None].clip(0, 1)
    return np.rint(0.7 * grey * (1 - share) + np.array(WRONG) * share).astype(np.uint8)


def shades(values: Float[np.ndarray, "n h w"], low: float, high: float) -> Pictures:
    """Black at `low`, white at `high`; grey-blue where a value is not finite."""
    known = np.isfinite(values)
    unit = (np.where(known, values, low) - low) / max(high - low, np.finfo(np.float64).tiny)
    grey = np.rint(255 * unit.clip(0, 1))[..., None]
    return np.where(known[..., None], grey, np.array((90, 110, 150))).astype(np.uint8)


def with_boxes(
    pictures: Pictures,
    boxes: Sequence[Float[np.ndarray, "m 4"]],
    classes: Sequence[Int[np.ndarray, " m"]],
    texts: Sequence[Sequence[str]],
    factor: int = 1,
) -> Pictures:
    """Frames in the colours of their classes, with a text at the upper left corner.

    The colour of class k is that of k + 1 in a mask, where 0 is the background.

    Args:
        boxes: of every picture, (x0, y0, x1, y1) half open, in pixels before enlarging.
        texts: one a box.
        factor: by which the pictures were enlarged.
    """
    found, font = [], ImageFont.load_default()
    for picture, b, c, t in zip(pictures, boxes, classes, texts, strict=True):
        canvas = Image.fromarray(picture)
        draw = ImageDraw.Draw(canvas)
        for box, number, text in reversed(list(zip(b, c, t, strict=True))):  # the first on top
            colour = tuple(int(v) for v in class_colours(int(number) + 2)[-1])
            x0, y0, x1, y1 = (round(float(v) * factor) for v in box)
            corner = (max(x1 - 1, x0), max(y1 - 1, y0))
            draw.rectangle([(x0, y0), corner], outline=colour, width=2)
            left, top, right, bottom = font.getbbox(text)
            place = (min(x0, canvas.width - int(right - left) - 2), y0)
            draw.rectangle(
                [place, (place[0] + right - left + 2, place[1] + bottom - top + 2)], fill=colour
            )
            draw.text((place[0] + 1, place[1] + 1 - top), text, fill=(0, 0, 0), font=font)
        found.append(np.asarray(canvas))
    return np.stack(found)


def with_tags(
    pictures: Pictures, lines: Sequence[Sequence[Sequence[tuple[str, bool]]]]
) -> Pictures:
    """Lines of words below each picture, those that are false in red; what is too long is cut.

    Args:
        lines: of every picture equally many, each a list of (word, whether it is right).
    """
    font, found = ImageFont.load_default(), []
    h, w = pictures.shape[1:3]
    for picture, rows in zip(pictures, lines, strict=True):
        canvas = Image.new("RGB", (w, h + LINE * len(rows)), (255, 255, 255))
        canvas.paste(Image.fromarray(picture), (0, 0))
        draw = ImageDraw.Draw(canvas)
        for i, words in enumerate(rows):
            x = 1.0
            for word, right in words:
                place = (x, h + i * LINE)
                draw.text(place, word, fill=(0, 0, 0) if right else WRONG, font=font)
                x += font.getlength(word + " ")
        found.append(np.asarray(canvas))
    return np.stack(found)
