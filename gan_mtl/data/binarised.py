"""Black and white pictures: one Bernoulli draw of every grey pixel, as where nats are quoted.

Salakhutdinov & Murray, "On the Quantitative Analysis of Deep Belief Networks", ICML 2008, took a
pixel's grey for the probability of white. Their own draw is one file; this is another of the same
law, named by its seed. Numbers of models that see a new draw in every epoch (Burda et al. 2016) are
of another training set and do not compare.
"""

from __future__ import annotations

import numpy as np

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import Dataset, Split
from gan_mtl.data.resize import Size, resize

CHUNK = 1000  # pictures whose draws are held at once


def binarised(name: str, grey: Dataset, seed: int, size: Size | None = None) -> Dataset:
    """A data set of pixels 0 and 255, white with probability grey / 255, each drawn once.

    Args:
        grey: pictures of any number of channels; every channel is drawn apart.
        seed: of the draw. It is a part of the data: pin it, and print the manifest's hash.
        size: side, or (height, width), to which grey pictures are resized before; None keeps it.
    """
    splits = {"train": grey.train, "test": grey.test}
    if size is not None:
        splits = {key: resize(split, size) for key, split in splits.items()}
    train, test = (
        split._replace(images=_drawn(split, seed, f"binarised/{key}"))
        for key, split in splits.items()
    )
    return manifest.assemble(name, train, test, grey.label_names, source=grey.name, seed=seed)


def _drawn(split: Split, seed: int, tag: str) -> np.ndarray:
    images = np.empty_like(split.images)
    for chunk, start in enumerate(range(0, len(images), CHUNK)):
        grey = split.images[start : start + CHUNK]
        words = order.words(grey.size, seed, tag, chunk) >> np.uint64(11)
        white = words.reshape(grey.shape) * 2.0**-53 < grey / 255
        images[start : start + CHUNK] = np.where(white, 255, 0)
    return images
