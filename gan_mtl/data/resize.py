"""One way of resizing for every source, so that a number never depends on which reader was used.

The longer side is cropped about the centre to the wanted aspect ratio; then comes Pillow's Lanczos
filter, which averages when it shrinks (no aliasing). Frechet distances depend on such choices.
Targets that lie on the picture go with it: masks and depths by the nearest pixel, boxes by their
corners.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Num, UInt8
from PIL import Image, ImageOps

from gan_mtl.data.arrays import Split
from gan_mtl.data.targets import DEPTH, MASK, OBJECTS, PADDING, PRESENT, UNKNOWN

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


def resized_masks(masks: Num[np.ndarray, "n h w"], size: Size) -> Num[np.ndarray, "n h2 w2"]:
    """Classes or depths to `size`, cropped as `resized` crops, each from the nearest pixel."""
    height, width = height_width(size)
    if masks.shape[1:] == (height, width):
        return masks
    left, top, across, down = _kept(masks.shape[1:], (height, width))
    rows = np.floor(top + (np.arange(height) + 0.5) * (down / height)).astype(np.int64)
    columns = np.floor(left + (np.arange(width) + 0.5) * (across / width)).astype(np.int64)
    return masks[:, rows[:, None], columns]


def resized_objects(
    objects: Float32[np.ndarray, "n m 5"], old: tuple[int, int], size: Size
) -> Float32[np.ndarray, "n m 5"]:
    """Boxes (x0, y0, x1, y1, class) of pictures that `resized` brings from `old` to `size`.

    They are scaled with the picture and cut at its edge. A box of which the crop leaves nothing
    becomes padding; what is left keeps its order and comes first. Hidden objects stay hidden.

    Args:
        objects: in pixels; see `targets`.
        old: (height, width) of the pictures that they lie in.
        size: of the result.
    """
    height, width = height_width(size)
    left, top, across, down = _kept(old, (height, width))
    scale = np.array([width / across, height / down] * 2)
    boxes = (objects[..., :4] - np.array([left, top] * 2)) * scale
    boxes = boxes.clip(0, np.array([width, height] * 2)).astype(np.float32)
    real = (objects[..., 4] != PADDING) & (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)
    found = np.concatenate([boxes, objects[..., 4:]], axis=-1)
    found[~real] = (0, 0, 0, 0, PADDING)
    found[objects[..., 4] == UNKNOWN] = (0, 0, 0, 0, UNKNOWN)
    order = np.argsort(found[..., 4] == PADDING, axis=1, kind="stable")
    return np.take_along_axis(found, order[..., None], axis=1)


def resize(split: Split, size: Size) -> Split:
    """Every image of a split to `size`, [n, h, w, c] to [n, *size, c], and the targets on it.

    `mask`, `depth` and `objects` are resized with the images (`resized_masks`, `resized_objects`).
    `present` loses the classes whose last box the crop has cut off; it is kept where there are no
    boxes. Labels and other targets stay as they are.

    Raises:
        ValueError: for another target of the images' height and width: whether it may be averaged
            is not known here.
    """
    old = split.images.shape[1:3]
    if old == height_width(size):
        return split
    targets = dict(split.targets)
    for name, values in targets.items():
        if name not in (MASK, DEPTH, OBJECTS, PRESENT) and values.shape[1:3] == old:
            raise ValueError(
                f"target {name!r} has the height and width of the images, {list(old)}, and only "
                f"{MASK!r}, {DEPTH!r} and {OBJECTS!r} are resized with them; take size=None, or "
                "resize both before they become a split"
            )
    for name in {MASK, DEPTH} & set(targets):
        targets[name] = resized_masks(targets[name], size)
    if OBJECTS in targets:
        before, after = targets[OBJECTS], resized_objects(targets[OBJECTS], old, size)
        targets[OBJECTS] = after
        if PRESENT in targets:
            k = targets[PRESENT].shape[1]
            lost = _classes(before, k) & ~_classes(after, k)
            targets[PRESENT] = np.where(lost, np.int32(0), targets[PRESENT])
    images = np.stack([resized(image, size) for image in split.images])
    return split._replace(images=images, targets=targets)


def _kept(old: tuple[int, ...], new: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, width and height of what `fit` keeps of a picture (height, width)."""
    (height, width), ratio = old, new[1] / new[0]
    across, down = min(float(width), ratio * height), min(float(height), width / ratio)
    return (width - across) / 2, (height - down) / 2, across, down


def _classes(objects: Float32[np.ndarray, "n m 5"], k: int) -> np.ndarray:
    """Bool [n, k]: of which classes there is a box."""
    return (objects[..., 4, None] == np.arange(k)).any(axis=1)
