"""Stacked digits: three grey pictures as the channels of one, a thousand modes.

Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017, counted modes on it, and many
after them. Deviation from the published sets, which stack all 70,000 pictures of MNIST: here the
pictures of a split are made of that split's digits alone.
"""

from __future__ import annotations

import numpy as np

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import Dataset, Split
from gan_mtl.data.resize import Size, resize

COUNTS = {"train": 128_000, "test": 26_000}  # PacGAN's training pictures, and samples scored
CHANNELS = ("first", "second", "third")


def stacked(name: str, digits: Dataset, seed: int, size: Size | None = None) -> Dataset:
    """A data set of 128,000 and 26,000 pictures of three channels; the label is 100 a + 10 b + c.

    Every batch also holds `first`, `second` and `third`, int32 classes of the channels.

    Args:
        digits: pictures of one channel and ten classes.
        seed: of the draw of all channels, with repetition. It is a part of the data.
        size: side, or (height, width), of the result; None keeps that of the digits.

    Raises:
        ValueError: for pictures of several channels, or another number of classes.
    """
    shape = digits.train.images.shape[1:]
    if shape[2] != 1 or digits.num_classes != 10:
        raise ValueError(
            f"{digits.name}: stacked pictures are made of one channel and ten classes, not of "
            f"{shape[2]} and {digits.num_classes}."
        )
    train, test = (
        _stack(split, COUNTS[key], seed, key, size)
        for key, split in (("train", digits.train), ("test", digits.test))
    )
    names = tuple(f"{mode:03d}" for mode in range(1000))
    return manifest.assemble(name, train, test, names, source=digits.name, seed=seed)


def _stack(split: Split, count: int, seed: int, key: str, size: Size | None) -> Split:
    drawn = order.words(3 * count, seed, f"stacked/{key}").reshape(count, 3)
    rows = (drawn % np.uint64(split.num_examples)).astype(np.int64)
    grey = resize(split, size).images[..., 0] if size is not None else split.images[..., 0]
    images = np.stack([grey[rows[:, i]] for i in range(3)], axis=-1)
    classes = split.labels[rows]
    targets = {name: classes[:, i] for i, name in enumerate(CHANNELS)}
    return Split(images, (classes @ np.array([100, 10, 1])).astype(np.int32), targets)
