"""What exactly was trained on: counts, hashes and histograms that fit into a JSON file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from gan_mtl.data import validate
from gan_mtl.data.arrays import Dataset, Split

FORMAT = 1
NOT_COMPARED = ("source",)  # the same bytes may lie elsewhere


def digest(array: np.ndarray) -> str:
    """sha256 of the values in C order, little-endian."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.data).hexdigest()


def describe_split(split: Split, num_classes: int) -> dict[str, Any]:
    """Counts and hashes of one split, of its labels as they are held (hidden ones are -1)."""
    visible = split.labels[split.visible]
    targets = {name: digest(values) for name, values in split.targets.items()}
    return {
        **({"targets_sha256": targets} if targets else {}),
        "count": split.num_examples,
        "shape": [int(d) for d in split.images.shape[1:]],
        "images_sha256": digest(split.images),
        "labels_sha256": digest(split.labels.astype(np.int32)),
        "labels_visible": len(visible),
        "histogram": np.bincount(visible, minlength=num_classes).tolist(),
    }


def describe_draw(indices: Int[np.ndarray, " m"], seed: int | None) -> dict[str, Any]:
    """Which labels of the training split may be seen, and by which draw."""
    return {
        "seed": seed,
        "count": len(indices),
        "indices": np.asarray(indices).tolist(),
        "sha256": digest(np.asarray(indices, np.int64)),
    }


def describe(
    name: str,
    source: str,
    splits: Mapping[str, Split],
    num_classes: int,
    label_names: tuple[str, ...],
    seed: int | None = None,
    draw: dict[str, Any] | None = None,
    front_end: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest of a data set, of JSON values only.

    Args:
        name: as the catalogue knows it.
        source: where the bytes came from; not compared by `verify`.
        splits: by name, `train`, `test` and perhaps `validation`.
        num_classes: the length of every histogram.
        label_names: one a class.
        seed: of the split, where it is ours; None where it is the publisher's.
        draw: of visible labels (`describe_draw`); None where all labels may be seen.
        front_end: what made pictures of something else, with its hash, `sha256`; of a joined set
            by the name of the part; None for most sets.
    """
    return {
        **({"front_end": front_end} if front_end else {}),
        "format": FORMAT,
        "name": name,
        "source": source,
        "split_seed": seed,
        "num_classes": num_classes,
        "label_names": list(label_names),
        "splits": {key: describe_split(split, num_classes) for key, split in splits.items()},
        "visible": draw,
    }


def assemble(
    name: str,
    train: Split,
    test: Split,
    label_names: tuple[str, ...],
    *,
    source: str,
    seed: int | None = None,
    validation: Split | None = None,
    front_end: dict[str, Any] | None = None,
) -> Dataset:
    """A checked data set with its manifest; the number of classes is that of the names.

    Raises:
        ValueError: if a split is not what it should be, naming the field, value and remedy.
    """
    splits = {"train": train, "test": test}
    if validation is not None:
        splits["validation"] = validation
    for key, split in splits.items():
        validate.check_split(split, len(label_names), where=f"{name}: {key} ")
        if split.images.shape[1:] != train.images.shape[1:]:
            raise ValueError(
                f"{name}: {key} images are {list(split.images.shape[1:])} and train images "
                f"{list(train.images.shape[1:])}; give `size` to resize both"
            )
    manifest = describe(
        name, source, splits, len(label_names), label_names, seed, front_end=front_end
    )
    return Dataset(name, train, test, len(label_names), label_names, manifest, validation)


def front_end_hashes(dataset: Dataset) -> dict[str, str]:
    """The hash of every front end, by the name of the set or of the joined part; most have none."""
    found = dataset.manifest.get("front_end") or {}
    by_name = {dataset.name: found} if "sha256" in found else found
    return {name: described["sha256"] for name, described in by_name.items()}


def verify(manifest: Mapping[str, Any], dataset: Dataset) -> None:
    """Raises ValueError with the differing fields unless `dataset` is what `manifest` describes.

    Hashes are computed anew from the arrays; only where the files lay is not compared, and the
    front end where the manifest has none (joined sets once had not, and pictures have their hash).
    """
    found = remake(dataset)
    if "front_end" not in manifest:
        found.pop("front_end", None)
    differing = [
        f"{field}: the manifest has {_short(expected)}, the data {_short(actual)}"
        for field, expected, actual in _differences(dict(manifest), found)
        if field not in NOT_COMPARED
    ]
    if differing:
        raise ValueError(
            f"the data set {dataset.name!r} is not the one of the manifest:\n  "
            + "\n  ".join(differing)
            + "\nuse the same files, split seed and label draw, or start a new run"
        )


def remake(dataset: Dataset, draw: dict[str, Any] | None = None) -> dict[str, Any]:
    """The manifest anew, from the arrays as they are now held; `draw` replaces the old one."""
    splits = {"train": dataset.train, "test": dataset.test}
    if dataset.validation is not None:
        splits["validation"] = dataset.validation
    old = dataset.manifest
    return describe(
        dataset.name,
        old["source"],
        splits,
        dataset.num_classes,
        dataset.label_names,
        old["split_seed"],
        old["visible"] if draw is None else draw,
        old.get("front_end"),
    )


def _differences(a: Any, b: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [*a, *(k for k in b if k not in a)]
        nested = [
            _differences(a.get(k, "nothing"), b.get(k, "nothing"), f"{path}.{k}" if path else k)
            for k in keys
        ]
        return [item for found in nested for item in found]
    return [] if a == b else [(path, a, b)]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 72 else text[:69] + "..."
