"""Two pictures in one: the MultiMNIST family, two classifications of one image.

Sabour et al. 2017 introduced it; this is the build of Sener & Koltun, "Multi-Task Learning as
Multi-Objective Optimization", NeurIPS 2018, from the code that they published: every picture of the
first set lies at the top left of a 36x36 canvas, one of the second, drawn at random, at the bottom
right, the brighter pixel wins, and the whole is resized to 28x28. Deviation: Lanczos, as everywhere
here, in place of their bilinear filter.
"""

from __future__ import annotations

import numpy as np

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import Dataset, Split
from gan_mtl.data.resize import Size, resize

CANVAS, OFFSET = 36, (0, 6)  # side; where the first picture begins, and the second


def overlaid(name: str, left: Dataset, right: Dataset, seed: int, size: Size = 28) -> Dataset:
    """A data set whose batches hold `left` and `right`, int32 classes of the two pictures.

    Every picture of a split occurs in several: a part carved out of the training split shares
    single digits with the rest (the test split has those of the test files alone).

    Args:
        left: 28x28 pictures of one channel; every one is used once.
        right: the same; partners are drawn from its split of the same name, with repetition.
        seed: of the partners. It is a part of the data: pin it, and print the manifest's hash.
        size: side of the result.

    Raises:
        ValueError: for pictures of another shape.
    """
    for one in (left, right):
        if one.train.images.shape[1:] != (28, 28, 1):
            raise ValueError(
                f"{one.name}: overlaid pictures are 28x28 with one channel, not "
                f"{one.train.images.shape[1:]}; load it with size=28."
            )
    pairs = (("train", left.train, right.train), ("test", left.test, right.test))
    train, test = (resize(_overlay(a, b, seed, key), size) for key, a, b in pairs)
    source = f"{left.name} + {right.name}"
    return manifest.assemble(name, train, test, left.label_names, source=source, seed=seed)


def _overlay(left: Split, right: Split, seed: int, key: str) -> Split:
    drawn = order.words(left.num_examples, seed, f"overlaid/{key}")
    partners = (drawn % np.uint64(right.num_examples)).astype(np.int64)
    canvas = np.zeros((left.num_examples, CANVAS, CANVAS, 1), np.uint8)
    first, second = OFFSET
    canvas[:, first : first + 28, first : first + 28] = left.images
    seen = canvas[:, second : second + 28, second : second + 28]
    np.maximum(seen, right.images[partners], out=seen)
    targets = {"left": left.labels, "right": right.labels[partners]}
    return Split(canvas, left.labels, targets)
