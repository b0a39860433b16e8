"""Errors at the boundary: each names the field, the value found and what would be right."""

from __future__ import annotations

from typing import Any

import numpy as np

from gan_mtl.data.arrays import HIDDEN, Split

RESERVED = ("images", "labels", "labelled_images", "labelled_labels")  # entries of a batch


def check_images(images: np.ndarray, where: str = "images") -> None:
    """Raises ValueError unless `images` is uint8, [n, h, w, c], channels last, not empty."""
    if images.dtype != np.uint8:
        raise ValueError(
            f"{where} has dtype {images.dtype}; give uint8 values 0 .. 255, or say what black and "
            "white are with value_range=(low, high), such as (0, 1) or (-1, 1)"
        )
    if images.ndim != 4:
        raise ValueError(
            f"{where} has shape {list(images.shape)}; give [n, height, width, channels] "
            "(or [n, height, width] for grey images)"
        )
    if 0 in images.shape:
        raise ValueError(f"{where} has shape {list(images.shape)}: it is empty")
    if images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise ValueError(
            f"{where} has shape {list(images.shape)}, which looks like channels first; "
            "give channels last: images.transpose(0, 2, 3, 1)"
        )


def check_range(
    images: np.ndarray, value_range: tuple[float, float], where: str = "images"
) -> None:
    """Raises ValueError unless all values are numbers within `value_range`."""
    check_value_range(value_range)
    if not (np.issubdtype(images.dtype, np.number) and not np.iscomplexobj(images)):
        raise ValueError(f"{where} has dtype {images.dtype}; give real numbers")
    if images.size == 0:
        raise ValueError(f"{where} has shape {list(images.shape)}: it is empty")
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        first = np.argwhere(~np.isfinite(images))[0].tolist()
        raise ValueError(f"{where}{first} is {images[tuple(first)]}; every value must be finite")
    if low < value_range[0] or high > value_range[1]:
        raise ValueError(
            f"{where} has values {low:g} .. {high:g}, outside value_range={value_range}; "
            f"give the range that the values have: {_guess(low, high)}"
        )


def check_value_range(value_range: tuple[float, float], where: str = "value_range") -> None:
    """Raises ValueError unless it is (low, high), both finite, low < high."""
    try:
        low, high = (float(v) for v in value_range)
        good = bool(np.isfinite(low) and np.isfinite(high) and low < high)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(f"{where}={value_range}; give (low, high) with low < high, as (-1.0, 1.0)")


def check_labels(labels: np.ndarray, num_classes: int | None = None, where: str = "labels") -> None:
    """Raises ValueError unless `labels` is [n] integers, each -1 or 0 .. num_classes - 1."""
    if labels.ndim != 1:
        hint = "; of one-hot rows take labels.argmax(-1)" if labels.ndim == 2 else ""
        raise ValueError(
            f"{where} has shape {list(labels.shape)}; give one class an image, [n]{hint}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{where} has dtype {labels.dtype}; give integers 0 .. num_classes - 1, "
            f"or {HIDDEN} where there is no label"
        )
    high = np.inf if num_classes is None else num_classes
    bad = np.flatnonzero((labels < HIDDEN) | (labels >= high))
    if bad.size:
        limit = "num_classes - 1" if num_classes is None else f"{num_classes - 1}"
        raise ValueError(
            f"{where}[{bad[0]}] is {labels[bad[0]]}, outside 0 .. {limit} "
            f"({len(bad)} such labels); correct it, or raise num_classes"
        )


def check_lengths(split: Split, where: str = "") -> None:
    """Raises ValueError unless there are as many labels as images."""
    images, labels = len(split.images), len(split.labels)
    if images != labels:
        raise ValueError(
            f"{where}images has {images} examples and {where}labels has {labels}; "
            "give one label an image (-1 where there is none)"
        )


def check_split(split: Split, num_classes: int, where: str = "") -> None:
    """Raises ValueError unless the split is what the rest of the house takes."""
    check_images(split.images, f"{where}images")
    check_labels(split.labels, num_classes, f"{where}labels")
    check_lengths(split, where)
    check_targets(split, where)


def check_targets(split: Split, where: str = "") -> None:
    """Raises ValueError for targets of another length, or named as another entry of a batch."""
    for name, values in split.targets.items():
        if name in RESERVED:
            raise ValueError(f"{where}targets hold {name!r}, an entry of every batch: rename it")
        if values.shape[:1] != (split.num_examples,):
            raise ValueError(
                f"{where}targets {name!r} have shape {list(values.shape)}, the split has "
                f"{split.num_examples} examples; give one row each"
            )


def check_batch(labels: np.ndarray, batch_size: int, labelled: int, repeats: int) -> None:
    """Raises ValueError for batches that a split with these labels cannot give."""
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("labelled_batch_size", labelled, 0),
        ("repeats", repeats, 1),
    ):
        if not _is_integer(value) or value < least:
            raise ValueError(f"{name}={value!r}; take an integer, {least} or more")
    n = len(labels)
    if batch_size > n:
        raise ValueError(
            f"batch_size={batch_size}, but the split has {n} examples; take at most {n}"
        )
    if labelled and not (labels != HIDDEN).any():
        raise ValueError(
            f"labelled_batch_size={labelled}, but no label of the split is visible; "
            "show some with hide_labels(split, draw_labels(...)), or take 0"
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _guess(low: float, high: float) -> str:
    for known in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if known[0] <= low and high <= known[1]:
            return f"value_range={known}, by the look of them"
    return f"value_range=({low:g}, {high:g}) or wider"
