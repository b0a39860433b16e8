"""What data is: a split, a data set, and which labels may be seen.

Visibility is held in the values. `hide_labels` replaces what may not be seen by `HIDDEN`, so that
nothing downstream can read it: a batch, a manifest and a metric made of the hidden split are the
same whatever the replaced labels were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

from gan_mtl.data import order

HIDDEN = -1


class Split(NamedTuple):
    """Examples held in memory.

    images: 8-bit values, channels last.
    labels: the class, or `HIDDEN` (-1) where it is absent or may not be seen.
    targets: of further tasks, by name: any dtype, shape [n, ...]; every batch holds them.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int32[np.ndarray, " n"]
    targets: Mapping[str, np.ndarray] = {}

    @property
    def num_examples(self) -> int:
        """How many examples; `len` of a NamedTuple counts its fields."""
        return len(self.labels)

    @property
    def visible(self) -> Int[np.ndarray, " m"]:
        """Where the label may be seen, in rising order."""
        return np.flatnonzero(self.labels != HIDDEN)


class Source(NamedTuple):
    """One of the data sets that a joined one is made of, and its classes in the joined numbering.

    first_class: the number of its class 0; it has `num_classes` from there on.
    """

    name: str
    first_class: int
    num_classes: int


class Dataset(NamedTuple):
    """A named data set with its splits.

    num_classes: 0 where there are no labels at all.
    label_names: one name a class.
    manifest: counts and hashes of what is held here; see `manifest.describe`.
    validation: carved out of the training split, or None.
    sources: what it was joined from; the target `source` has the numbers. Empty for most.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    label_names: tuple[str, ...]
    manifest: dict[str, Any]
    validation: Split | None = None
    sources: tuple[Source, ...] = ()


def take(split: Split, indices: Int[np.ndarray, " m"]) -> Split:
    """The examples at `indices`, in that order."""
    targets = {name: values[indices] for name, values in split.targets.items()}
    return Split(split.images[indices], split.labels[indices], targets)


def hide_labels(split: Split, visible_indices: Int[np.ndarray, " m"]) -> Split:
    """The same images and targets, with every label replaced by -1 but those at `visible_indices`.

    Args:
        split: the labels are read at `visible_indices` only.
        visible_indices: distinct positions, 0 .. n - 1; empty hides every label.

    Raises:
        ValueError: if an index is repeated, outside the split, or has no label to show.
    """
    visible = np.asarray(visible_indices, np.int64).reshape(-1)
    n = split.num_examples
    bad = visible[(visible < 0) | (visible >= n)]
    if bad.size:
        raise ValueError(f"visible_indices holds {bad[0]}; the split has examples 0 .. {n - 1}")
    if len(np.unique(visible)) != len(visible):
        raise ValueError("visible_indices holds an index twice; each example may be listed once")
    labels = np.full(n, HIDDEN, np.int32)
    labels[visible] = split.labels[visible]
    absent = visible[labels[visible] == HIDDEN]
    if absent.size:
        raise ValueError(
            f"visible_indices holds {absent[0]}, an example without a label; "
            "choose among `split.visible`"
        )
    return split._replace(labels=labels)


def draw_labels(labels: Int[np.ndarray, " n"], per_class: int, seed: int) -> Int[np.ndarray, " m"]:
    """Chooses `per_class` labelled examples of every class.

    Draws are nested: those of 1 a class are among those of 3 a class with the same seed.

    Args:
        labels: classes; -1 is never drawn.
        per_class: 1 or more.
        seed: names the draw.

    Returns:
        Positions in rising order.

    Raises:
        ValueError: if a class has fewer than `per_class` examples, or there are no labels.
    """
    if per_class < 1:
        raise ValueError(f"per_class={per_class}; take 1 or more")
    classes = np.unique(labels[labels != HIDDEN])
    if not classes.size:
        raise ValueError("there are no visible labels to draw from")
    missing = sorted(set(range(int(classes[-1]))) - set(classes.tolist()))
    if missing:
        raise ValueError(f"class {missing[0]} has 0 labelled examples, per_class={per_class}")
    drawn = []
    for c in classes.tolist():
        members = np.flatnonzero(labels == c)
        if len(members) < per_class:
            raise ValueError(
                f"per_class={per_class}, but class {c} has only {len(members)} labelled examples; "
                f"take at most {len(members)}"
            )
        drawn.append(members[order.permutation(len(members), seed, "labels", c)[:per_class]])
    return np.sort(np.concatenate(drawn))


def carve(
    split: Split, size: int | float, seed: int, stratified: bool = True
) -> tuple[Split, Split]:
    """Takes a part out of a split: the rest, and the part, both in the original order.

    Args:
        split: what is divided; nothing is lost and nothing is in both.
        size: a number of examples (int), or a fraction in (0, 1) (float), rounded to nearest.
        seed: names the draw.
        stratified: whether the part has the classes in the proportions of the whole, by largest
            remainder; -1 counts as one more class.

    Raises:
        ValueError: if the part or the rest would be empty.
    """
    n = split.num_examples
    count = size if isinstance(size, int) else int(np.floor(size * n + 0.5))
    if not 0 < count < n:
        raise ValueError(
            f"size={size} takes {count} of {n} examples; take 1 .. {n - 1}, or a fraction in (0, 1)"
        )
    if stratified:
        classes, counts = np.unique(split.labels, return_counts=True)
        chosen = [
            np.flatnonzero(split.labels == c)[order.permutation(m, seed, "carve", int(c) + 1)[:k]]
            for c, m, k in zip(classes, counts, quotas(counts, count), strict=True)
        ]
        part = np.sort(np.concatenate(chosen))
    else:
        part = np.sort(order.permutation(n, seed, "carve")[:count])
    rest = np.setdiff1d(np.arange(n), part, assume_unique=True)
    return take(split, rest), take(split, part)


def quotas(counts: Int[np.ndarray, " k"], total: int) -> Int[np.ndarray, " k"]:
    """Divides `total` in the proportions of `counts` by largest remainder; ties to the first."""
    scaled = counts.astype(np.int64) * total
    share, remainder = np.divmod(scaled, counts.sum())
    first = np.argsort(-remainder, kind="stable")[: total - share.sum()]
    share[first] += 1
    return share
