"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels: the data that needs no network.

The published values are 0 .. 16; they are stored as round(value * 255 / 16), halves up, so that 16
levels stay 17 distinct 8-bit values and nothing is lost. The publisher gives no split (the set is
the test part of UCI's "Optical Recognition of Handwritten Digits"), so it is ours: stratified by
class, 1,437 to train and 360 to test, named by its seed.
"""

from __future__ import annotations

import numpy as np

from gan_mtl.data.arrays import Dataset, Split, carve
from gan_mtl.data.convert import to_uint8
from gan_mtl.data.manifest import assemble
from gan_mtl.data.resize import Size, resize

TEST_SIZE = 360


def digits(seed: int = 0, size: Size | None = None) -> Dataset:
    """The digits with a held-out test split.

    Args:
        seed: of the split. Leave it at 0 to compare runs: label draws have a seed of their own.
        size: see `resize`; None keeps 8 x 8.

    Returns:
        1,437 training and 360 test images, [n, 8, 8, 1], classes 0 .. 9.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = to_uint8(np.asarray(pixels), 0.0, 16.0).reshape(-1, 8, 8, 1)
    whole = Split(images, np.asarray(labels, np.int32))
    whole = whole if size is None else resize(whole, size)
    train, test = carve(whole, TEST_SIZE, seed)
    names = tuple(str(c) for c in range(10))
    return assemble("digits", train, test, names, source="scikit-learn load_digits", seed=seed)
