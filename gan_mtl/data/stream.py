"""Batches as a pure function of (seed, step): nothing to save, nothing to wind forward.

Examples come in a new order every epoch. A batch may straddle two epochs, so that after any number
of steps no example has been seen more than once more often than another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32

from gan_mtl.data import order, validate
from gan_mtl.data.arrays import HIDDEN, Split
from gan_mtl.data.convert import to_float

Batch = dict[str, np.ndarray]
Order = Callable[[int], Int[np.ndarray, " n"]]
Indices = Callable[[int], dict[str, Int32[np.ndarray, " b"]]]


class Stream(NamedTuple):
    """An endless, resumable source of batches.

    batch: `step -> {"images": float32 [R * B, h, w, c], ...}`, the same for the same step.
        `labels` int32 [R * B] where every label of the split is visible;
        every entry of the split's `targets`;
        `labelled_images`, `labelled_labels` and `labelled_<target>` [R * L, ...] where labelled
        examples were asked for.
    examples_per_step: R * B, with R repeats. Turn `i` of R takes the slice `x[i::R]`.
    steps_per_epoch: may be a fraction.
    arrays: what may be kept on a device: `images` uint8 [n, h, w, c], `labels` int32 [n];
        None where the data does not fit into memory.
    indices: `step -> {"images": int32 [R * B], "labelled": int32 [R * L]}`; None without arrays.
    gather: `(arrays, indices) -> batch`, for NumPy and JAX arrays, and inside jit:
        `batch(step)` equals `gather(arrays, indices(step))` bit for bit.
    """

    batch: Callable[[int], Batch]
    examples_per_step: int
    steps_per_epoch: float
    arrays: Batch | None = None
    indices: Indices | None = None
    gather: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None


def stream(
    split: Split,
    batch_size: int,
    seed: int,
    *,
    labelled_batch_size: int = 0,
    value_range: tuple[float, float] = (-1.0, 1.0),
    repeats: int = 1,
) -> Stream:
    """Batches of a split that is held in memory.

    Args:
        split: as the training may see it, labels hidden already.
        batch_size: B, of one turn, over all devices.
        seed: names the order.
        labelled_batch_size: L, examples drawn from those with a visible label: every one equally
            often, classes spread evenly, in several passes if there are fewer than L. 0 is none.
        value_range: what 0 and 255 become.
        repeats: R, of the turn that runs most often; a step's batch holds R * B examples.

    Raises:
        ValueError: if a size is not positive, larger than the split, or no label is visible.
    """
    indices = schedule(split.labels, batch_size, seed, labelled_batch_size, repeats)
    validate.check_value_range(value_range)
    arrays = {"images": split.images, "labels": split.labels, **split.targets}
    n = split.num_examples
    all_visible = len(split.visible) == n
    gather = functools.partial(_gather, value_range=value_range, labels=all_visible)
    return Stream(
        batch=lambda step: gather(arrays, indices(step)),
        examples_per_step=repeats * batch_size,
        steps_per_epoch=n / (repeats * batch_size),
        arrays=arrays,
        indices=indices,
        gather=gather,
    )


def schedule(
    labels: Int[np.ndarray, " n"],
    batch_size: int,
    seed: int,
    labelled_batch_size: int = 0,
    repeats: int = 1,
) -> Indices:
    """`step -> {"images": int32 [R * B], "labelled": int32 [R * L]}`; see `stream`.

    Args:
        labels: -1 where hidden or absent; only visible ones have any influence, and only on
            `labelled`.
    """
    validate.check_batch(labels, batch_size, labelled_batch_size, repeats)
    n, visible = len(labels), np.flatnonzero(labels != HIDDEN)
    order.words(0, seed, "epoch")  # a bad seed fails here
    shuffled = _cached(lambda epoch: order.permutation(n, seed, "epoch", epoch))
    spread = _cached(lambda epoch: visible[order.spread(labels[visible], seed, "labelled", epoch)])

    def indices(step: int) -> dict[str, Int32[np.ndarray, " b"]]:
        found = {"images": _slices(shuffled, n, step, batch_size, repeats)}
        if labelled_batch_size:
            count = len(visible)
            found["labelled"] = _slices(spread, count, step, labelled_batch_size, repeats)
        return found

    return indices


def _gather(
    arrays: Mapping[str, Any],
    indices: Mapping[str, Any],
    *,
    value_range: tuple[float, float],
    labels: bool,
) -> dict[str, Any]:
    """The batch at `indices`."""
    further = [name for name in arrays if name not in ("images", "labels")]
    batch = {"images": images_at(arrays, indices["images"], value_range)}
    batch |= {name: arrays[name][indices["images"]] for name in further}
    if labels:
        batch["labels"] = arrays["labels"][indices["images"]]
    if "labelled" in indices:
        batch["labelled_images"] = images_at(arrays, indices["labelled"], value_range)
        for name in ("labels", *further):
            batch[f"labelled_{name}"] = arrays[name][indices["labelled"]]
    return batch


def images_at(arrays: Mapping[str, Any], rows: Any, value_range: tuple[float, float]) -> Any:
    """The images in these rows; points of a toy set (not 8-bit) pass unscaled."""
    raw = arrays["images"][rows]
    return to_float(raw, *value_range) if raw.dtype == np.uint8 else raw


def _cached(make: Order) -> Order:
    """The last few epochs' orders are kept: a matter of speed, not of state."""
    return functools.lru_cache(maxsize=4)(make)


def _slices(orders: Order, n: int, step: int, size: int, repeats: int) -> Int32[np.ndarray, " b"]:
    """The step's indices, laid out so that `x[i::repeats]` is the i-th consecutive stretch."""
    if step < 0:
        raise ValueError(f"step={step}; steps are counted from 0")
    rows = window(orders, n, step * size * repeats, size * repeats)
    return rows.reshape(repeats, size).T.reshape(-1).astype(np.int32)


def window(orders: Order, n: int, start: int, count: int) -> Int[np.ndarray, " count"]:
    """Places start .. start + count - 1 of all epochs' orders, one after another.

    Args:
        orders: `epoch -> permutation of n`, or n indices in some order.
        n: the length of an epoch.
        start: 0 or more; any size.
        count: how many; may be longer than an epoch.
    """
    pieces = []
    while count > 0:
        epoch, offset = divmod(start, n)
        piece = orders(epoch)[offset : offset + count]
        pieces.append(piece)
        start, count = start + len(piece), count - len(piece)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
