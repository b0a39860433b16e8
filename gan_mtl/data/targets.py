"""Targets of dense and set-valued tasks, under four names that mean the same everywhere.

objects   float32 [n, M, 5]  rows (x0, y0, x1, y1, class): a box in pixels, half open
                             (x1 - x0 is its width); class -1 and zeros fill the rest of M rows;
                             -2 and zeros in all of them: nobody knows the objects of the picture
mask      uint8 [n, h, w]    the class of every pixel; 255 is nothing, and is left out of
                             losses and scores
present   int32 [n, k]       1 where class k is in the picture
depth     float32 [n, h, w]  the distance of every pixel, any unit; unknown where it is not finite,
                             0 or less: left out of losses and scores
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from gan_mtl.data.arrays import HIDDEN, Split

OBJECTS, MASK, PRESENT, DEPTH = "objects", "mask", "present", "depth"
IGNORE = 255  # of a mask: no class, never trained on, never scored
PADDING = -1  # the class of a row of `objects` that is none
UNKNOWN = -2  # the class of all rows of an image whose objects may not be seen


def check_targets(split: Split, num_classes: int | Mapping[str, int], where: str = "") -> None:
    """Raises ValueError unless `objects`, `mask`, `present` and `depth` are what they should be.

    Other targets are not looked at. A picture without objects is no error.

    Args:
        split: [n, h, w, c]; any of the four targets may be absent.
        num_classes: k, with classes 0 .. k - 1; a number for each target by name where they
            differ, as where a mask has a class more for the background; `depth` has none.
        where: stands before the target's name in an error, such as a file name.

    Raises:
        ValueError: for another dtype or shape, a box outside the picture or without an area, a
            class outside the range, and a mask or a depth without a pixel that counts; with the
            target, the example, the value and the remedy.
    """
    for name, check in ((OBJECTS, _check_objects), (MASK, _check_mask), (PRESENT, _check_present)):
        if name in split.targets:
            k = num_classes.get(name) if isinstance(num_classes, Mapping) else num_classes
            if k is None:
                raise ValueError(f"{where}num_classes={num_classes} has no number for {name!r}")
            check(split, split.targets[name], k, f"{where}target {name!r}")
    if DEPTH in split.targets:
        _check_depth(split, split.targets[DEPTH], f"{where}target {DEPTH!r}")


def hide_targets(split: Split, name: str, visible_indices: Int[np.ndarray, " m"]) -> Split:
    """The same examples, with one target hidden but in those at `visible_indices`.

    Hidden is what its loss leaves out: a mask of 255, objects of class -2, a depth of 0, -1
    elsewhere. What is hidden is gone, so that nothing downstream can read it.

    Args:
        split: with the target.
        name: of an integer target, `objects` or `depth`.
        visible_indices: distinct positions, 0 .. n - 1; empty hides all.

    Raises:
        ValueError: if there is no such target, it cannot be hidden, or an index is outside.
    """
    if name not in split.targets:
        raise ValueError(f"target {name!r} is not one of {sorted(split.targets)}")
    values, n = split.targets[name], split.num_examples
    visible = np.asarray(visible_indices, np.int64).reshape(-1)
    bad = visible[(visible < 0) | (visible >= n)]
    if bad.size:
        raise ValueError(f"visible_indices holds {bad[0]}; the split has examples 0 .. {n - 1}")
    if name == OBJECTS:
        hidden = np.zeros_like(values)
        hidden[..., 4] = UNKNOWN
    elif name == MASK:
        hidden = np.full_like(values, IGNORE)
    elif name == DEPTH:
        hidden = np.zeros_like(values)
    elif np.issubdtype(values.dtype, np.signedinteger):
        hidden = np.full_like(values, HIDDEN)
    else:
        raise ValueError(
            f"target {name!r} of dtype {values.dtype} has no value that means hidden; give signed "
            "integers"
        )
    hidden[visible] = values[visible]
    return split._replace(targets={**split.targets, name: hidden})


def _check_objects(split: Split, objects: np.ndarray, k: int, what: str) -> None:
    n, (height, width) = split.num_examples, split.images.shape[1:3]
    _check_form(objects, np.float32, (n, None, 5), what)
    _refuse(~np.isfinite(objects), objects, what, "give finite numbers")
    classes = objects[..., 4]
    unknown = classes == UNKNOWN
    bad = (classes != np.floor(classes)) | (classes < PADDING) | (classes >= k)
    hint = f"give a whole class 0 .. {k - 1}, or -1 in a row that is no object"
    _refuse(bad & ~unknown, classes, f"{what}: class", hint)
    mixed = unknown.any(axis=1, keepdims=True) & ~unknown
    _refuse(mixed, classes, f"{what}: class", "-2 (unknown) is in all rows of a picture or in none")
    real = classes >= 0
    hint = "give zeros where the class is -1 or -2"
    _refuse(~real & objects[..., :4].any(axis=-1), objects, what, hint)
    x0, y0, x1, y1 = (objects[..., i] for i in range(4))
    outside = (x0 < 0) | (y0 < 0) | (x1 > width) | (y1 > height)
    hint = f"a box lies in 0 .. {width} across and 0 .. {height} down, in pixels; clip it"
    _refuse(real & outside, objects, what, hint)
    hint = "give x0 < x1 and y0 < y1, the box half open"
    _refuse(real & ((x0 >= x1) | (y0 >= y1)), objects, what, hint)


def _check_mask(split: Split, mask: np.ndarray, k: int, what: str) -> None:
    n, (height, width) = split.num_examples, split.images.shape[1:3]
    _check_form(mask, np.uint8, (n, height, width), what)
    if not 1 <= k <= IGNORE:
        raise ValueError(f"{what}: num_classes={k}; take 1 .. 255, as 255 is what is ignored")
    counted = mask != IGNORE
    hint = f"give a class 0 .. {k - 1}, or 255 for pixels to ignore"
    _refuse(counted & (mask >= k), mask, what, hint)
    nothing = np.flatnonzero(~counted.any(axis=(1, 2)))
    if nothing.size:
        raise ValueError(
            f"{what}: example {nothing[0]} is 255 (ignore) at every pixel, so that it has no loss "
            "and no score; leave it out"
        )


def _check_present(split: Split, present: np.ndarray, k: int, what: str) -> None:
    _check_form(present, np.int32, (split.num_examples, k), what)
    _refuse((present != 0) & (present != 1), present, what, "give 1 where a class is, 0 elsewhere")


def _check_depth(split: Split, depth: np.ndarray, what: str) -> None:
    _check_form(depth, np.float32, (split.num_examples, *split.images.shape[1:3]), what)
    nothing = np.flatnonzero(~(np.isfinite(depth) & (depth > 0)).any(axis=(1, 2)))
    if nothing.size:
        raise ValueError(
            f"{what}: example {nothing[0]} has no pixel of a finite depth above 0, so that it has "
            "no loss and no score; leave it out"
        )


def _check_form(values: np.ndarray, dtype: type, shape: tuple[int | None, ...], what: str) -> None:
    if values.dtype != dtype:
        name = np.dtype(dtype).name
        raise ValueError(f"{what} has dtype {values.dtype}; give {name}: x.astype(np.{name})")
    agrees = [b is None or a == b for a, b in zip(values.shape, shape, strict=False)]
    if len(values.shape) != len(shape) or not all(agrees):
        wanted = ", ".join("M" if d is None else str(d) for d in shape)
        raise ValueError(
            f"{what} has shape {list(values.shape)}; give [{wanted}], for the examples and the "
            "size of the images"
        )


def _refuse(bad: np.ndarray, values: np.ndarray, what: str, hint: str) -> None:
    """Raises ValueError with the first value where `bad`; an index names the example first."""
    if bad.any():
        first = np.argwhere(bad)[0].tolist()
        raise ValueError(
            f"{what}: example {first[0]} has {values[tuple(first)].tolist()} at {first[1:]}; {hint}"
        )
