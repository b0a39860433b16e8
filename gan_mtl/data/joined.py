"""Several data sets side by side: one source a task, each with images of its own, of any number."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import Dataset, Source, Split, take
from gan_mtl.data.stream import Batch, Indices, Stream, images_at, schedule
from gan_mtl.data.validate import check_value_range

SOURCE = "source"  # the target that says which source an example is of


def joined(name: str, parts: Sequence[Dataset]) -> Dataset:
    """One data set of several: their images one after another, their classes numbered on.

    The target `source` says where an example is from, so that a part of the whole (a validation
    split, a fraction) still knows. Class k of the second set is class k + (classes of the first).
    Targets stay where all sets have the same. The manifest holds the front end of every part that
    has one, by its name.

    Raises:
        ValueError: for images of different shapes, fewer than two sets, two of one name, different
            targets, or a set with a validation split.
    """
    names = [part.name for part in parts]
    if len(set(names)) < max(len(names), 2):
        raise ValueError(f"{name}: give two or more different data sets to join, got {names}.")
    shapes = {part.name: list(part.train.images.shape[1:]) for part in parts}
    if len({tuple(shape) for shape in shapes.values()}) > 1:
        raise ValueError(
            f"{name}: images have the shapes {shapes}; give `size` to resize them, and join sets "
            "with as many channels."
        )
    targets = {name: _kinds(part.train) for name, part in zip(names, parts, strict=True)}
    for part in parts:
        if targets[part.name] != targets[names[0]] or SOURCE in part.train.targets:
            raise ValueError(
                f"{name}: {part.name!r} has targets {list(part.train.targets)}, and {names[0]!r} "
                f"has {list(parts[0].train.targets)}: join sets with the same targets, of one "
                f"shape and dtype, none of them named {SOURCE!r}."
            )
        if part.validation is not None:
            raise ValueError(
                f"{name}: {part.name!r} has a validation split, which a joined set does not hold: "
                "leave it out, and carve one out of the joined set."
            )
    starts = np.cumsum([0, *(part.num_classes for part in parts)]).tolist()
    sources = tuple(
        Source(part.name, start, part.num_classes)
        for part, start in zip(parts, starts, strict=False)
    )
    train, test = (
        _concatenated([getattr(part, key) for part in parts], sources) for key in ("train", "test")
    )
    labels = tuple(f"{part.name}/{label}" for part in parts for label in part.label_names)
    front_ends = {part.name: part.manifest.get("front_end") for part in parts}
    whole = manifest.assemble(
        name,
        train,
        test,
        labels,
        source=" + ".join(names),
        front_end={key: found for key, found in front_ends.items() if found},
    )
    return whole._replace(sources=sources)


def _kinds(split: Split) -> dict[str, Any]:
    """Shape of one example and dtype of every target."""
    return {name: (values.shape[1:], values.dtype) for name, values in split.targets.items()}


def _concatenated(splits: Sequence[Split], sources: Sequence[Source]) -> Split:
    labels = [
        np.where(split.labels < 0, split.labels, split.labels + source.first_class)
        for split, source in zip(splits, sources, strict=True)
    ]
    numbers = np.repeat(np.arange(len(splits), dtype=np.int32), [s.num_examples for s in splits])
    images = np.concatenate([split.images for split in splits])
    targets = {
        name: np.concatenate([split.targets[name] for split in splits])
        for name in splits[0].targets
    }
    return Split(images, np.concatenate(labels).astype(np.int32), {**targets, SOURCE: numbers})


def part(dataset: Dataset, split: Split, name: str) -> Split:
    """The examples of one source, with its own classes 0 .. k - 1."""
    names = [source.name for source in dataset.sources]
    if name not in names:
        raise ValueError(f"{dataset.name} has no source {name!r}; it has {names}.")
    number = names.index(name)
    found = take(split, np.flatnonzero(split.targets[SOURCE] == number))
    return found._replace(labels=_own_labels(found.labels, dataset.sources[number]))


def _own_labels(labels: Any, source: Source) -> Any:
    return labels - np.int32(source.first_class) * (labels >= 0)


def joined_stream(
    split: Split,
    sources: Sequence[Source],
    batch_size: int,
    seed: int,
    *,
    labelled_batch_size: int = 0,
    value_range: tuple[float, float] = (-1.0, 1.0),
    repeats: int = 1,
) -> Stream:
    """Batches of every source side by side: `images/<source>`, and `labels/<source>` if all show.

    Where only some of a source's labels show, it may have examples drawn from these beside, as
    `labelled_images/<source>` and `labelled_labels/<source>`.

    Every source is worked through in an order of its own, the smaller ones more often.

    Args:
        split: of a `joined` data set.
        sources: of that data set.
        batch_size: B, of every source in one turn.
        labelled_batch_size: L, of such a source's visible ones; 0 is none.
        seed, value_range, repeats: as of `stream`.

    Returns:
        A stream whose `steps_per_epoch` is of the largest source.

    Raises:
        ValueError: for a source with fewer than B examples, by name.
    """
    check_value_range(value_range)
    rows = {
        source.name: np.flatnonzero(split.targets[SOURCE] == number)
        for number, source in enumerate(sources)
    }
    schedules: dict[str, Indices] = {}
    few = {
        name: labelled_batch_size if (split.labels[members] < 0).any() else 0
        for name, members in rows.items()
    }
    for number, (name, members) in enumerate(rows.items()):
        try:
            own = int(order.words(1, seed, "source", number)[0] >> np.uint64(33))
            schedules[name] = schedule(split.labels[members], batch_size, own, few[name], repeats)
        except ValueError as error:
            raise ValueError(f"source {name!r}: {error}") from error
    shown = tuple(s for s in sources if (split.labels[rows[s.name]] >= 0).all())

    def indices(step: int) -> dict[str, Int32[np.ndarray, " b"]]:
        found = {name: chosen(step) for name, chosen in schedules.items()}
        return {
            (name if kind == "images" else f"{kind}/{name}"): rows[name][places].astype(np.int32)
            for name, kinds in found.items()
            for kind, places in kinds.items()
        }

    arrays = {"images": split.images, "labels": split.labels}
    drawn = tuple(source for source in sources if few[source.name])
    gather = functools.partial(_gather, value_range=value_range, shown=shown, drawn=drawn)
    largest = max(len(members) for members in rows.values())
    return Stream(
        batch=lambda step: gather(arrays, indices(step)),
        examples_per_step=repeats * batch_size,
        steps_per_epoch=largest / (repeats * batch_size),
        arrays=arrays,
        indices=indices,
        gather=gather,
    )


def _gather(
    arrays: Mapping[str, Any],
    indices: Mapping[str, Any],
    *,
    value_range: tuple[float, float],
    shown: tuple[Source, ...],
    drawn: tuple[Source, ...],
) -> Batch:
    labelled = {f"labelled/{source.name}": source for source in drawn}
    batch = {
        f"images/{name}": images_at(arrays, rows, value_range)
        for name, rows in indices.items()
        if name not in labelled
    }
    for name, source in labelled.items():
        labels = arrays["labels"][indices[name]]
        batch[f"labelled_images/{source.name}"] = images_at(arrays, indices[name], value_range)
        batch[f"labelled_labels/{source.name}"] = _own_labels(labels, source)
    for source in shown:
        labels = arrays["labels"][indices[source.name]]
        batch[f"labels/{source.name}"] = _own_labels(labels, source)
    return batch
