"""New label maps out of known ones, with targets that belong to them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_mtl import draws
from gan_mtl.losses.segmentation import IGNORE
from gan_mtl.types import Context

TRIES = 8  # places tried for an object; the one that hides least is taken
NOTHING = -1  # the class of a row of objects that is none


def rearranged(pairs: dict[str, Array], context: Context) -> dict[str, Array]:
    """Every object moved to a new place, in its own shape; maps, boxes and tags agree exactly.

    An object is what its box holds of its class in the map. Rows are placed one after another, in
    the order that they have, each at the one of eight drawn places that overlaps least with those
    before it, and lies above them. Boxes are the tight ones around the pixels that are seen in the
    end; an object that is hidden is none. The rest of the map is background, class 0.

    Classes are not exchanged and objects not mirrored, since the shape of an object in the map says
    what it is (a digit's strokes): a 3 under the label 7 would teach nonsense.

    Args:
        pairs: `mask`, shape [n, h, w], with classes c + 1 of the objects' c, 0 for background and
            255 where ignored; `objects`, shape [n, m, 5]; `present`, shape [n, k], if at all.
            Where a map or the objects of an example are hidden it stays as it is.
        context: of the draws, which belong to the global examples.

    Raises:
        ValueError: without `mask` or `objects`, or for another name.
    """
    missing = {"mask", "objects"} - set(pairs)
    others = set(pairs) - {"mask", "objects", "present"}
    if missing or others:
        raise ValueError(
            f"rearranged: pairs of {sorted(pairs)}; it takes 'mask' and 'objects', and 'present' "
            "if need be. Give the detection task, or synthetic.compose=None."
        )
    mask, objects = pairs["mask"], pairs["objects"]
    keys = draws.per_example(lambda key: key, len(mask), context)
    moved: dict[str, Array] = {}
    moved["mask"], moved["objects"] = jax.vmap(_moved)(mask, objects, keys)
    known = ~((mask == IGNORE).any(axis=(1, 2)) | (objects[..., 4] < NOTHING).any(axis=1))
    if "present" in pairs:
        k = pairs["present"].shape[1]
        seen = (moved["objects"][..., 4, None] == jnp.arange(k)[None, None]).any(axis=1)
        moved["present"] = seen.astype(pairs["present"].dtype)
    return {name: _where(known, moved[name], x) for name, x in pairs.items()}


def _where(known: Bool[Array, " n"], new: Array, old: Array) -> Array:
    return jnp.where(known.reshape(-1, *[1] * (old.ndim - 1)), new, old)


def _moved(
    mask: Int[Array, "h w"], objects: Float[Array, "m 5"], key: Array
) -> tuple[Int[Array, "h w"], Float[Array, "m 5"]]:
    """One map and its objects."""
    pieces = [_piece(mask, row) for row in objects]
    owner = jnp.zeros(mask.shape, jnp.int32)
    for i, piece in enumerate(pieces):
        tried = _places(piece, jax.random.fold_in(key, i))
        hidden = (tried & (owner > 0)[None]).sum(axis=(1, 2))
        owner = jnp.where(tried[jnp.argmin(hidden)], i + 1, owner)
    boxes = [_tight(owner == i + 1) for i in range(len(pieces))]
    seen = jnp.stack([(owner == i + 1).any() for i in range(len(pieces))])
    classes = jnp.where(seen, objects[:, 4], NOTHING)
    rows = jnp.concatenate([jnp.stack(boxes).astype(objects.dtype), classes[:, None]], axis=1)
    values = jnp.concatenate([jnp.zeros(1), objects[:, 4] + 1]).astype(mask.dtype)
    return values[owner], rows


def _piece(mask: Int[Array, "h w"], row: Float[Array, " 5"]) -> Bool[Array, "h w"]:
    """The pixels of an object: those of its class that its box touches."""
    y, x = (jnp.arange(side) for side in mask.shape)
    across = (x + 1 > row[0]) & (x < row[2])
    down = (y + 1 > row[1]) & (y < row[3])
    inside = down[:, None] & across[None, :]
    return inside & (mask.astype(row.dtype) == row[4] + 1) & (row[4] >= 0)


def _places(piece: Bool[Array, "h w"], key: Array) -> Bool[Array, "t h w"]:
    """The piece at drawn places, as a whole inside the map."""
    x0, y0, x1, y1 = _tight(piece)
    rows = jax.random.randint(key, (TRIES, 1), -y0, piece.shape[0] - y1 + 1)
    columns = jax.random.randint(
        jax.random.fold_in(key, 1), (TRIES, 1), -x0, piece.shape[1] - x1 + 1
    )
    shift = jax.vmap(functools.partial(jnp.roll, piece, axis=(0, 1)))
    return shift(jnp.concatenate([rows, columns], axis=1))


def _tight(pixels: Bool[Array, "h w"]) -> Int[Array, " 4"]:
    """The box (x0, y0, x1, y1) around what is true, half open; zeros where nothing is."""
    ends = []
    for axis in (0, 1):  # columns, rows
        hit = pixels.any(axis=axis)
        last = jnp.where(hit.any(), hit.size - jnp.argmax(hit[::-1]), 0)
        ends.append((jnp.argmax(hit), last))
    (x0, x1), (y0, y1) = ends
    return jnp.stack([x0, y0, x1, y1]).astype(jnp.int32)
