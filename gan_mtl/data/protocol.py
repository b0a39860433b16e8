"""What a run may see: a validation split of its own, and few labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from gan_mtl.data import manifest
from gan_mtl.data.arrays import HIDDEN, Dataset, carve, draw_labels, hide_labels


def with_validation(
    dataset: Dataset, size: int | float, seed: int, stratified: bool = True
) -> Dataset:
    """Carves a validation split out of the training split; see `arrays.carve`.

    Do this before hiding labels, or the validation labels are hidden with the others.

    Raises:
        ValueError: if there is a validation split already, or the part would be empty.
    """
    if dataset.validation is not None:
        raise ValueError(f"{dataset.name} has a validation split already; use that, or drop it")
    if dataset.manifest["visible"] is not None:
        raise ValueError(
            f"{dataset.name}: labels were hidden before the validation split was carved out; "
            "carve first, then hide"
        )
    train, validation = carve(dataset.train, size, seed, stratified)
    changed = dataset._replace(train=train, validation=validation)
    return changed._replace(manifest=manifest.remake(changed))


def with_fraction(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Keeps a part of the training split, with the classes in their proportions.

    Args:
        fraction: in (0, 1], of all training examples; 1 keeps everything.
        seed: names the draw.

    Raises:
        ValueError: for another fraction, or one that leaves nothing.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction}: give a part of the training images, in (0, 1].")
    if fraction == 1:
        return dataset
    changed = dataset._replace(train=carve(dataset.train, fraction, seed)[1])
    return changed._replace(manifest=manifest.remake(changed))


def with_labels(dataset: Dataset, per_class: int, seed: int) -> Dataset:
    """Leaves `per_class` labels of every class visible in the training split, and hides the rest.

    Of a joined data set they are those of the last source; the others keep all of theirs.

    Raises:
        ValueError: if a class has too few, or `seed` is negative.
    """
    labels = dataset.train.labels
    if not dataset.sources:
        return with_visible(dataset, draw_labels(labels, per_class, seed), seed)
    first = dataset.sources[-1].first_class
    of_last = np.where(labels >= first, labels - first, HIDDEN)
    drawn = draw_labels(of_last, per_class, seed)
    others = np.flatnonzero((labels != HIDDEN) & (labels < first))
    return with_visible(dataset, np.sort(np.concatenate([others, drawn])), seed)


def with_visible(
    dataset: Dataset, indices: Int[np.ndarray, " m"], seed: int | None = None
) -> Dataset:
    """Leaves the labels at `indices` of the training split visible, and hides the rest.

    Args:
        dataset: test and validation labels stay; they are for scores, never for training.
        indices: positions in `dataset.train`.
        seed: of the draw, for the manifest; None where they were chosen otherwise.
    """
    changed = dataset._replace(train=hide_labels(dataset.train, indices))
    draw = manifest.describe_draw(np.asarray(indices), seed)
    return changed._replace(manifest=manifest.remake(changed, draw))
