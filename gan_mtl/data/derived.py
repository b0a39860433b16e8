"""Data sets made of others by a word before their name: `colour:NAME`, `part:N:NAME`, `plain:NAME`.

`colour` repeats grey pictures in three channels; `part` has N of the training images, drawn by lot,
and the whole test split; `plain` leaves the further targets away. They are for joining: sets side
by side have as many channels and the same targets. Words go together: `part:2000:colour:mnist`.
"""

from __future__ import annotations

import numpy as np

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import Dataset, Split, take

WORDS = ("colour", "part", "plain")


def check_word(name: str) -> tuple[str, str]:
    """What follows the word: its argument ("" of most), and the name of another data set.

    Raises:
        ValueError: if nothing follows, or no number of images where there has to be one.
    """
    word, _, rest = name.partition(":")
    argument = ""
    if word == "part":
        argument, _, rest = rest.partition(":")
        if not argument.isdecimal() or int(argument) < 1:
            raise ValueError(f"data {name!r}: give part:N:NAME, N a number of training images.")
    if not rest:
        raise ValueError(f"data {name!r} lacks what follows the colon; give {word}:...NAME")
    return argument, rest


def derived(name: str, argument: str, other: Dataset, seed: int) -> Dataset:
    """The data set that a word makes of another.

    Args:
        name: all of it.
        argument: as `check_word` has it.
        seed: of the lot.

    Raises:
        ValueError: for colours of what is not grey, more images than there are, or a joined set.
    """
    word = name.partition(":")[0]
    if other.sources:
        raise ValueError(f"data {name!r}: put {word!r} before the sets that are joined.")
    splits = {"train": other.train, "test": other.test}
    if other.validation is not None:
        splits["validation"] = other.validation
    if word == "part":
        splits["train"] = _by_lot(name, splits["train"], int(argument), seed)
    else:
        change = _coloured if word == "colour" else _without_targets
        splits = {key: change(name, split) for key, split in splits.items()}
    return manifest.assemble(
        name,
        splits["train"],
        splits["test"],
        other.label_names,
        source=other.name,
        seed=seed if word == "part" else None,
        validation=splits.get("validation"),
        front_end=other.manifest.get("front_end"),
    )


def _by_lot(name: str, split: Split, count: int, seed: int) -> Split:
    n = split.num_examples
    if count > n:
        raise ValueError(f"data {name!r}: there are {n} training images; take at most {n}.")
    return take(split, np.sort(order.permutation(n, seed, "part")[:count]))


def _coloured(name: str, split: Split) -> Split:
    channels = split.images.shape[-1]
    if channels != 1:
        raise ValueError(f"data {name!r}: its pictures have {channels} channels, not one grey one.")
    return split._replace(images=np.repeat(split.images, 3, axis=-1))


def _without_targets(name: str, split: Split) -> Split:
    del name
    return split._replace(targets={})
