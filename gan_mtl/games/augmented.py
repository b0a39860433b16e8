"""A game whose every turn sees its batch changed at random: crops and flips of images and masks.

`Task.augment` changes images alone; where a target lies on the image, both have to move together,
and all rows of a turn, tasks and adversaries, have to see the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_mtl import draws
from gan_mtl.types import Array, Batch, Context, Game, Losses, Outcome, Variables

Change = Callable[[Batch, Context], Batch]


def augmented(game: Game, change: Change) -> Game:
    """The game with `change` before every turn; initial parameters and predictions stay.

    Args:
        game: whose networks take the changed sizes too, if it changes sizes.
        change: `(batch, context) -> batch`; its draws belong to the global examples. Turns draw
            apart from each other.
    """
    turns = tuple(
        turn._replace(losses=functools.partial(_changed, turn.losses, change, turn.name))
        for turn in game.turns
    )
    return game._replace(turns=turns)


def _changed(
    losses: Losses, change: Change, turn: str, variables: Variables, batch: Batch, context: Context
) -> Outcome:
    return losses(variables, change(batch, context.fold(f"augmented/{turn}")), context)


def crop_and_flip(
    batch: Batch,
    context: Context,
    *,
    size: tuple[int, int],
    flip: bool = True,
    zoom: tuple[float, float] = (1.0, 1.0),
    entries: tuple[str, ...] = ("images", "mask"),
) -> Batch:
    """A window of every example, anywhere in it, mirrored left to right half of the time.

    With a zoom z, by lot, log-uniform, the window is size / z and is resampled to `size`: floats
    between the four nearest pixels, integers (classes of pixels) from the nearest one.

    Args:
        batch: with arrays [n, h, w, ...] under `entries`, of one h and w; the rest stays, so that
            boxes, and maps that are not named, no longer lie on the images.
        context: the draws belong to the global examples.
        size: height and width of the window; that of the images is no crop.
        flip: whether there are mirrored ones.
        zoom: least and largest z; (1, 1) cuts pixels as they are.
        entries: what is cut and mirrored together.

    Raises:
        ValueError: for an entry that is not there, entries of unlike sizes, a window that does not
            fit, a zoom out of order.
    """
    h, w = _common_size(batch, entries, size)
    n = batch[entries[0]].shape[0]
    if zoom != (1.0, 1.0):
        _check_zoom(zoom, size, (h, w))
        return {**batch, **_zoomed(batch, context, size, flip, zoom, entries)}
    top = draws.integers(n, h - size[0] + 1, context.fold("top"))
    left = draws.integers(n, w - size[1] + 1, context.fold("left"))
    mirrored = draws.integers(n, 2, context.fold("flip")) * flip

    def one(x: Array, top: Array, left: Array, mirrored: Array) -> Array:
        x = jax.lax.dynamic_slice_in_dim(x, top, size[0], 0)
        x = jax.lax.dynamic_slice_in_dim(x, left, size[1], 1)
        return jnp.where(mirrored == 1, x[:, ::-1], x)

    cut = {name: jax.vmap(one)(jnp.asarray(batch[name]), top, left, mirrored) for name in entries}
    return {**batch, **cut}


def _zoomed(
    batch: Batch,
    context: Context,
    size: tuple[int, int],
    flip: bool,
    zoom: tuple[float, float],
    entries: tuple[str, ...],
) -> Batch:
    """The entries seen through windows of other sizes."""
    n, h, w = batch[entries[0]].shape[:3]
    bounds = (math.log(zoom[0]), math.log(zoom[1]))
    z = jnp.exp(draws.uniform(n, (), context.fold("zoom"), *bounds))
    mirrored = draws.integers(n, 2, context.fold("flip")) * flip

    def places(room: int, wanted: int, axis: str) -> Array:
        """Where [n, wanted] the window's pixels lie on an axis of the image, 0 .. room - 1."""
        start = draws.uniform(n, (), context.fold(axis)) * (room - wanted / z)
        found = start[:, None] + (jnp.arange(wanted) + 0.5)[None] / z[:, None] - 0.5
        return jnp.clip(found, 0, room - 1)

    rows, columns = places(h, size[0], "top"), places(w, size[1], "left")
    columns = jnp.where(mirrored[:, None] == 1, columns[:, ::-1], columns)

    def one(x: Array, rows: Array, columns: Array) -> Array:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x[jnp.rint(rows).astype(int)[:, None], jnp.rint(columns).astype(int)[None]]
        down, right = (
            jnp.maximum(1 - jnp.abs(at[:, None] - jnp.arange(room)[None]), 0).astype(x.dtype)
            for at, room in ((rows, h), (columns, w))
        )
        return jnp.einsum("ih,hw...,jw->ij...", down, x, right)

    return {name: jax.vmap(one)(jnp.asarray(batch[name]), rows, columns) for name in entries}


def _check_zoom(zoom: tuple[float, float], size: tuple[int, int], room: tuple[int, int]) -> None:
    least = max(wanted / there for wanted, there in zip(size, room, strict=True))
    if not least <= zoom[0] <= zoom[1]:
        raise ValueError(
            f"crop_and_flip: zoom={zoom}; give the least z first, at least {least:.3g}, at which "
            f"size={size} is the whole image of {room[0]}x{room[1]} pixels."
        )


def _common_size(batch: Batch, entries: tuple[str, ...], size: tuple[int, int]) -> tuple[int, int]:
    absent = [name for name in entries if name not in batch]
    if absent:
        raise ValueError(
            f"crop_and_flip: the batch has no entry {absent[0]!r}; it has {sorted(batch)}."
        )
    sizes = {name: batch[name].shape[1:3] for name in entries}
    h, w = next(iter(sizes.values()))
    if len(set(sizes.values())) > 1:
        raise ValueError(
            f"crop_and_flip: entries of the sizes {sizes}; give images and masks of one size."
        )
    if not (0 < size[0] <= h and 0 < size[1] <= w):
        raise ValueError(
            f"crop_and_flip: size={size} is no window of images of {h}x{w} pixels; take at most "
            "their height and width."
        )
    return h, w
