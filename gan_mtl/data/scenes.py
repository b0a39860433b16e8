"""Scenes of digits: pictures with several objects, for detection, segmentation and tagging.

Digits of random size lie at random places on a canvas of noise and of 8 x 8 fragments of digits, as
in the cluttered MNIST of Mnih et al., "Recurrent Models of Visual Attention", NeurIPS 2014. Several
digits, their sizes, boxes and masks are ours: this is no published set, and has no published score.

What is exact. A digit is cut to the tight box of its ink and resized (Lanczos) so that its longer
side is the one drawn. It is blended over what lies below, its grey values being its coverage. Its
pixels are those with a grey value above 100 of 255; where two digits claim a pixel, the later one,
which lies above, has it. `mask` is the owner's class + 1, and 0 where none owns the pixel. A box is
the tight one around the pixels that the digit owns in the end: of what can be seen of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8, UInt64
from PIL import Image

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import HIDDEN, Dataset, Split
from gan_mtl.data.resize import Size, resize
from gan_mtl.data.targets import IGNORE, MASK, OBJECTS, PADDING, PRESENT, check_targets

INK = 100  # a pixel is a digit's where its grey value, 0 .. 255, is above
CHUNK = 1000  # scenes of one draw of random words: a part of the data
TRIES = 16  # places tried for a digit before it is left out
FRAGMENT, FRAME = 8, 28  # side of a fragment, and of the digit that it is cut from


class Layout(NamedTuple):
    """What a scene is made of; lengths in pixels, limits included.

    canvas: the side of the scene.
    count: fewest and most digits. One without a free place after 16 tries is left out, never the
        first; (0, 4) has empty scenes too.
    side: least and greatest longer side of a digit's ink.
    overlap: the greatest area that two digits' rectangles may share, in parts of the smaller one.
    brightness: least and greatest of a digit, 0 .. 255.
    fragments: how many, of 8 x 8 pixels; digits lie above them.
    fragment_brightness: least and greatest of a fragment.
    noise: the greatest value of the uniform noise.
    """

    canvas: int = 64
    count: tuple[int, int] = (1, 4)
    side: tuple[int, int] = (14, 34)
    overlap: float = 0.2
    brightness: tuple[int, int] = (170, 255)
    fragments: int = 8
    fragment_brightness: tuple[int, int] = (60, 150)
    noise: int = 40


LAYOUT = Layout()


def digit_scenes(
    name: str,
    digits: Dataset,
    seed: int,
    size: Size | None = None,
    *,
    train: int = 20_000,
    test: int = 2_000,
    layout: Layout = LAYOUT,
) -> Dataset:
    """A data set of scenes: of the digits' training split to train, of their test split to test.

    Digits are drawn with repetition: a validation part carved out of the training scenes shares
    digits with the rest. The manifest has a hash of each target.

    Args:
        digits: of one channel, every label visible; any number k of classes up to 254.
        seed: of the draw. It is a part of the data: pin it, and print the manifest's hash.
        size: to which scenes are resized once they are made; None keeps the canvas.
        train, test: how many scenes; scene i is the same whatever their number.
        layout: what is in them.

    Returns:
        A data set as of `scenes`; `num_classes` is k (the mask has k + 1).

    Raises:
        ValueError: for pictures of several channels, or without ink, hidden labels, and values of
            `layout` that cannot be.
    """
    splits = {"train": (digits.train, train), "test": (digits.test, test)}
    made = {
        key: scenes(split, digits.num_classes, count, seed, key, layout)
        for key, (split, count) in splits.items()
    }
    if size is not None:
        made = {key: resize(split, size) for key, split in made.items()}
    return manifest.assemble(
        name, made["train"], made["test"], digits.label_names, source=digits.name, seed=seed
    )


def scenes(
    split: Split, num_classes: int, count: int, seed: int, key: str, layout: Layout = LAYOUT
) -> Split:
    """`count` scenes of the digits of one split.

    Args:
        split: the digits, [m, h, w, 1].
        num_classes: k, of the digits.
        count: how many scenes; each depends on its number, and not on this.
        seed, key: name the draw; `key` is that of the split.
        layout: what is in them.

    Returns:
        images [count, canvas, canvas, 1] uint8; labels [count], the class of the object with the
        largest box (the lower one of two), or -1 in an empty scene; and the targets `objects`
        [count, M, 5] with M the most digits of `layout`, lower ones first, `mask`
        [count, canvas, canvas] with k + 1 classes, and `present` [count, k] (see `targets`).

    Raises:
        ValueError: as `digit_scenes`.
    """
    _check(split, num_classes, count, layout)
    grey = split.images[..., 0]
    frames = resize(Split(split.images, split.labels), FRAME).images[..., 0]
    digits = _Digits(grey, _ink(grey), frames, split.labels)
    parts = []
    for chunk in range(-(-count // CHUNK)):
        draw = _Draw(min(CHUNK, count - chunk * CHUNK), seed, key, chunk)
        canvas = _background(frames, draw, layout)
        classes, owner = _painted(canvas, digits, draw, layout)
        parts.append(_annotated(canvas, classes, owner, num_classes))
    images, labels = (np.concatenate([getattr(p, f) for p in parts]) for f in ("images", "labels"))
    targets = {
        name: np.concatenate([part.targets[name] for part in parts])
        for name in (OBJECTS, MASK, PRESENT)
    }
    found = Split(images, labels, targets)
    sizes = {OBJECTS: num_classes, MASK: num_classes + 1, PRESENT: num_classes}
    check_targets(found, sizes, where=f"scenes of {key}: ")
    return found


class _Digits(NamedTuple):
    """What scenes are made of: the pictures, where their ink is, at one size, and their classes."""

    grey: UInt8[np.ndarray, "m h w"]
    ink: Int[np.ndarray, "m 4"]
    frames: UInt8[np.ndarray, "m 28 28"]
    labels: Int[np.ndarray, " m"]


class _Draw(NamedTuple):
    """Names the draw of n scenes, up to `CHUNK` of them at a time."""

    n: int
    seed: int
    key: str
    chunk: int


def _words(draw: _Draw, each: int, what: str) -> UInt64[np.ndarray, "n each"]:
    """Random words for every scene; a scene's are the same whatever n is."""
    tag = f"scenes/{draw.key}/{what}"
    return order.words(draw.n * each, draw.seed, tag, draw.chunk).reshape(draw.n, each)


def _between(words: np.ndarray, low: int, high: int) -> np.ndarray:
    """Whole numbers low .. high, both included, int64 of any shape."""
    return low + (words % np.uint64(high - low + 1)).astype(np.int64)


def _background(
    frames: UInt8[np.ndarray, "m 28 28"], draw: _Draw, layout: Layout
) -> UInt8[np.ndarray, "n s s"]:
    """Noise, and fragments of digits where they are brighter."""
    n, side, k = draw.n, layout.canvas, layout.fragments
    noise = _words(draw, -(-side * side // 8), "noise").astype("<u8").view(np.uint8)
    values = noise.reshape(n, -1)[:, : side * side].reshape(n, side, side)
    canvas = (values.astype(np.uint16) * (layout.noise + 1) >> 8).astype(np.uint8)
    drawn = _words(draw, 6 * k, "fragments").reshape(n, k, 6)
    window, scene = np.arange(FRAGMENT), np.arange(n)[:, None, None]
    for i in range(k):
        rows = _between(drawn[:, i, 0], 0, len(frames) - 1)
        level = _between(drawn[:, i, 1], *layout.fragment_brightness)[:, None, None]
        inside = [_between(drawn[:, i, j], 4, FRAME - 4 - FRAGMENT) for j in (2, 3)]
        place = [_between(drawn[:, i, j], 0, side - FRAGMENT) for j in (4, 5)]
        y, x = ((first[:, None] + window) for first in inside)
        pieces = frames[rows[:, None, None], y[:, :, None], x[:, None, :]] * level // 255
        y, x = ((first[:, None] + window) for first in place)
        at = (scene, y[:, :, None], x[:, None, :])
        canvas[at] = np.maximum(canvas[at], pieces)
    return canvas


def _painted(
    canvas: UInt8[np.ndarray, "n s s"], digits: _Digits, draw: _Draw, layout: Layout
) -> tuple[Int[np.ndarray, "n slots"], UInt8[np.ndarray, "n s s"]]:
    """Paints digits on `canvas`, one slot after another.

    Returns:
        The class drawn for every slot, and who owns a pixel: slot + 1, or 0 for none.
    """
    n, slots, each = draw.n, layout.count[1], 3 + TRIES
    drawn = _words(draw, 1 + slots * each, "digits")
    wanted, drawn = _between(drawn[:, 0], *layout.count), drawn[:, 1:].reshape(n, slots, each)
    rows = _between(drawn[..., 0], 0, len(digits.labels) - 1)
    sides = _between(drawn[..., 1], *layout.side)
    levels = _between(drawn[..., 2], *layout.brightness).astype(np.uint16)
    boxes = np.zeros((n, slots, 4), np.int64)  # of whole patches; zeros where there is none
    owner = np.zeros(canvas.shape, np.uint8)
    for slot in range(slots):
        asked = np.flatnonzero(slot < wanted)
        patches = [_scaled(digits, rows[i, slot], sides[i, slot]) for i in asked]
        shapes = np.array([patch.shape for patch in patches], np.int64).reshape(-1, 2)
        found, free = _free_place(drawn[asked, slot, 3:], shapes, boxes[asked, :slot], layout)
        for i, patch, box, good in zip(asked, patches, found, free, strict=True):
            if good and patch.max() > INK:
                boxes[i, slot] = box
                left, top, right, bottom = box
                below = canvas[i, top:bottom, left:right]
                below[...] = (below * (255 - patch) + patch * levels[i, slot] + 127) // 255
                owner[i, top:bottom, left:right][patch > INK] = slot + 1
    return digits.labels[rows], owner


def _free_place(
    words: UInt64[np.ndarray, "n t"],
    shapes: Int[np.ndarray, "n 2"],
    boxes: Int[np.ndarray, "n k 4"],
    layout: Layout,
) -> tuple[Int[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
    """The first of t places for a rectangle that leaves the others visible, and whether one does.

    A rectangle that is not there is all zeros, and takes no room.
    """
    room = (layout.canvas + 1 - shapes).astype(np.uint64)[:, None]
    half = np.uint64(32)
    top = ((words >> half) % room[..., 0]).astype(np.int64)
    left = ((words & np.uint64(2**32 - 1)) % room[..., 1]).astype(np.int64)
    tried = np.stack([left, top, left + shapes[:, None, 1], top + shapes[:, None, 0]], axis=-1)
    a, b = tried[:, :, None], boxes[:, None]
    shared = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0)
    smaller = np.minimum(*((c[..., 2:] - c[..., :2]).prod(axis=-1) for c in (a, b)))
    good = (shared.prod(axis=-1) <= layout.overlap * smaller).all(axis=-1)
    return tried[np.arange(len(tried)), good.argmax(axis=1)], good.any(axis=1)


def _annotated(
    canvas: UInt8[np.ndarray, "n s s"],
    classes: Int[np.ndarray, "n slots"],
    owner: UInt8[np.ndarray, "n s s"],
    num_classes: int,
) -> Split:
    """Boxes, masks and tags of what can be seen."""
    n, slots = classes.shape
    objects = np.zeros((n, slots, 5), np.float32)
    for slot in range(slots):
        objects[:, slot, :4] = _tight(owner == slot + 1)
    sides = objects[..., 2:4] - objects[..., :2]
    seen = sides[..., 0] > 0
    objects[..., 4] = np.where(seen, classes, PADDING)
    first = np.argsort(~seen, axis=1, kind="stable")
    objects, area = (np.take_along_axis(objects, first[..., None], axis=1), sides.prod(axis=-1))
    largest = np.take_along_axis(area, first, axis=1).argmax(axis=1)
    found = objects[np.arange(n), largest, 4]
    labels = np.where(seen.any(axis=1), found, HIDDEN).astype(np.int32)
    values = np.concatenate([np.zeros((n, 1), np.uint8), classes + 1], axis=1).astype(np.uint8)
    mask = values[np.arange(n)[:, None, None], owner]
    present = (objects[..., 4, None] == np.arange(num_classes)).any(axis=1).astype(np.int32)
    return Split(canvas[..., None], labels, {OBJECTS: objects, MASK: mask, PRESENT: present})


def _tight(pixels: Bool[np.ndarray, "n h w"]) -> Float32[np.ndarray, "n 4"]:
    """Boxes (x0, y0, x1, y1) around what is true, half open; zeros where nothing is."""
    spans = []
    for axis in (1, 2):  # columns, rows
        hit = np.any(pixels, axis=axis)
        last = hit.shape[1] - hit[:, ::-1].argmax(axis=1)
        spans.append((hit.argmax(axis=1), np.where(hit.any(axis=1), last, 0)))
    (x0, x1), (y0, y1) = spans
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.float32)


def _ink(grey: UInt8[np.ndarray, "m h w"]) -> Int[np.ndarray, "m 4"]:
    """The tight box of every digit's ink."""
    boxes = _tight(grey > INK).astype(np.int64)
    blank = np.flatnonzero(boxes[:, 2] == 0)
    if blank.size:
        raise ValueError(
            f"image {blank[0]} has no value above {INK}, so that there is nothing to place; leave "
            "it out, or make the images brighter"
        )
    return boxes


def _scaled(digits: _Digits, row: int, side: int) -> np.ndarray:
    """A digit cut to its ink, grey values in uint16, with the longer side as given."""
    x0, y0, x1, y1 = digits.ink[row].tolist()
    longer = max(x1 - x0, y1 - y0)
    width, height = (max(1, round(length * side / longer)) for length in (x1 - x0, y1 - y0))
    ink = Image.fromarray(digits.grey[row, y0:y1, x0:x1])
    return np.asarray(ink.resize((width, height), Image.Resampling.LANCZOS)).astype(np.uint16)


def _check(split: Split, num_classes: int, count: int, layout: Layout) -> None:
    if split.images.shape[3] != 1 or not 1 <= num_classes < IGNORE:
        raise ValueError(
            f"scenes are made of one channel and 1 to 254 classes, not of {split.images.shape[3]} "
            f"and {num_classes}"
        )
    if (split.labels == HIDDEN).any():
        first = int(np.argmax(split.labels == HIDDEN))
        raise ValueError(f"image {first} has no visible label; make scenes of labelled digits")
    if count < 1:
        raise ValueError(f"count={count}; take 1 scene or more")
    low, high = layout.count
    if not (0 <= low <= high and 1 <= high <= 255):
        raise ValueError(f"count={layout.count}; take (least, most) digits within 0 .. 255")
    low, high = layout.side
    if not FRAGMENT <= low <= high <= layout.canvas:
        raise ValueError(
            f"side={layout.side} on canvas={layout.canvas}; take (least, most) pixels, from "
            f"{FRAGMENT} to the side of the canvas"
        )
    if not 0 <= layout.overlap <= 1:
        raise ValueError(f"overlap={layout.overlap}; take a part of the smaller one, 0 .. 1")
    for name in ("brightness", "fragment_brightness"):
        low, high = getattr(layout, name)
        if not 0 <= low <= high <= 255:
            raise ValueError(f"{name}={(low, high)}; take (least, greatest) within 0 .. 255")
    if not (0 <= layout.noise <= 255 and layout.fragments >= 0):
        raise ValueError(
            f"noise={layout.noise}, fragments={layout.fragments}; take 0 .. 255, and 0 or more"
        )
