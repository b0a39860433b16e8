r"""What a head that finds objects by their centres is asked: CenterNet's targets and loss.

Zhou, Wang & Krähenbühl, "Objects as Points", 2019, arXiv 1904.07850, section 3; the width of the
targets goes by the size of the object as in Law & Deng, "CornerNet", ECCV 2018, section 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid
from jaxtyping import Array, Bool, Float, Int

from gan_mtl.losses._inputs import wide
from gan_mtl.types import Loss

HIDDEN_OBJECTS = -2  # as a class: the objects of this image are not known


class CentreTargets(NamedTuple):
    """What a map of h by w places should say of the objects of n images, at most m in each.

    heat: Y, shape [n, h, w, k], in [0, 1]: 1 at the place of an object's centre, falling around it.
    places: shape [n, m], the places y w + x of the centres; 0 for padding.
    offsets: shape [n, m, 2], from a place to the centre (x, y); in [0, 1) within the image.
    sizes: shape [n, m, 2], width and height of the boxes, in places.
    there: shape [n, m], whether the row is an object.
    """

    heat: Float[Array, "n h w k"]
    places: Int[Array, "n m"]
    offsets: Float[Array, "n m 2"]
    sizes: Float[Array, "n m 2"]
    there: Bool[Array, "n m"]


def centre_targets(
    objects: Float[Array, "n m 5"],
    num_classes: int,
    places: tuple[int, int],
    size: tuple[int, int],
    overlap: float = 0.7,
) -> CentreTargets:
    """The targets of objects: a Gaussian for each, the larger where two of a class meet.

    The Gaussian's radius r is such that a box whose corners are off by less than r still has an IoU
    of `overlap` with the object's; its deviation is (2 r + 1) / 6, and it ends at r.

    Args:
        objects: rows (x0, y0, x1, y1, class), pixels; class -1 is padding.
        num_classes: k.
        places: height and width of the map.
        size: height and width of the images.
        overlap: IoU in (0, 1).
    """
    h, w = places
    scale = jnp.array([w / size[1], h / size[0]], objects.dtype)[None, None]
    low, high = objects[..., :2] * scale, objects[..., 2:4] * scale
    there = objects[..., 4] >= 0
    sizes = jnp.where(there[..., None], high - low, 1.0)
    centres = (low + high) / 2
    limits = jnp.array([w - 1, h - 1], objects.dtype)[None, None]
    at = jnp.clip(jnp.floor(centres), 0.0, limits)
    radius = jnp.maximum(jnp.floor(gaussian_radius(sizes[..., 1], sizes[..., 0], overlap)), 0.0)
    deviation = (2 * radius + 1) / 6

    def bell(along: Array, middle: Array) -> Float[Array, "n m places"]:
        off = along[None, None] - middle[..., None]
        value = jnp.exp(-(off**2) / (2 * deviation[..., None] ** 2))
        return jnp.where(jnp.abs(off) <= radius[..., None], value, 0.0)

    across = bell(jnp.arange(w, dtype=objects.dtype), at[..., 0])
    down = bell(jnp.arange(h, dtype=objects.dtype), at[..., 1])
    each = down[:, :, :, None] * across[:, :, None, :]  # [n, m, h, w]
    classes = jax.nn.one_hot(objects[..., 4].astype(jnp.int32), num_classes, dtype=each.dtype)
    heat = jnp.max(each[..., None] * classes[:, :, None, None], axis=1, initial=0.0)
    index = (at[..., 1] * w + at[..., 0]).astype(jnp.int32)
    kept = there[..., None]
    return CentreTargets(
        heat,
        jnp.where(there, index, 0),
        jnp.where(kept, centres - at, 0.0),
        jnp.where(kept, sizes, 0.0),
        there,
    )


def gaussian_radius(
    height: Float[Array, " *n"], width: Float[Array, " *n"], overlap: float
) -> Float[Array, " *n"]:
    """How far both corners of a box may be off if its IoU is to stay at `overlap`: the worst case.

    The least r of three, each the root of a quadratic equation with t = `overlap`: the box moved
    along its diagonal, (h - r)(w - r) = t (2 h w - (h - r)(w - r)); smaller on all sides,
    (h - 2 r)(w - 2 r) = t h w; larger, h w = t (h + 2 r)(w + 2 r).

    Args:
        height, width: positive, any unit; the radius is in the same.
        overlap: IoU t in (0, 1).
    """
    total, area = height + width, height * width
    moved = (total - jnp.sqrt(total**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    smaller = (total - jnp.sqrt(total**2 - 4 * area * (1 - overlap))) / 4
    larger = (jnp.sqrt(total**2 + 4 * area * (1 / overlap - 1)) - total) / 4
    return jnp.minimum(moved, jnp.minimum(smaller, larger))


def focal_heat(
    logits: Float[Array, "n h w k"],
    heat: Float[Array, "n h w k"],
    alpha: float = 2.0,
    beta: float = 4.0,
) -> Float[Array, " n"]:
    r"""The penalty-reduced focal loss of a heat map (equation 1), without its 1 / N.

    :math:`-\sum (1 - p)^\alpha \log p` where Y = 1, and elsewhere
    :math:`-\sum (1 - Y)^\beta p^\alpha \log(1 - p)`.

    Args:
        logits: of p.
        heat: Y, in [0, 1].
        alpha, beta: the paper's 2 and 4.

    Returns:
        One sum over places and classes per image, in nats.
    """
    logits = wide("logits", logits)
    p = sigmoid(logits)
    hit = (1 - p) ** alpha * log_sigmoid(logits)
    miss = (1 - heat) ** beta * p**alpha * log_sigmoid(-logits)
    return -jnp.where(heat == 1, hit, miss).sum(axis=(1, 2, 3))


def centre_loss(
    outputs: Float[Array, "n h w k+4"],
    objects: Float[Array, "n m 5"],
    size: tuple[int, int],
    *,
    size_weight: float = 0.1,
    offset_weight: float = 1.0,
) -> Loss:
    r"""Focal loss of the centres, L1 of their offsets and of the boxes' sizes (equation 4).

    Each is a sum over an image divided by its number of objects, as in the paper (by 1 where there
    is none).

    Args:
        outputs: of `nets.CentreHead`.
        objects: rows (x0, y0, x1, y1, class) in pixels; class -1 is padding, class -2 in any row
            says that nobody may know the objects of this image.
        size: height and width of the images.
        size_weight: 0.1.
        offset_weight: 1.

    Returns:
        One value per image, and a mask that leaves out images whose objects are hidden. NaN for a
        fault in the data: a class outside the range or not whole, a box without an area or not
        finite. Of a box that leaves the image the centre is asked for at the nearest place.
    """
    n, h, w, channels = outputs.shape
    if objects.ndim != 3 or objects.shape[0] != n or objects.shape[2] != 5:
        raise ValueError(
            f"objects: expected shape ({n}, m, 5), rows (x0, y0, x1, y1, class), got "
            f"{objects.shape}"
        )
    outputs = wide("outputs", outputs)
    target = centre_targets(objects.astype(outputs.dtype), channels - 4, (h, w), size)
    rest = outputs[..., channels - 4 :].reshape(n, h * w, 4)
    found = jnp.take_along_axis(rest, target.places[..., None], axis=1)
    there = target.there[..., None]
    offset = jnp.where(there, jnp.abs(found[..., :2] - target.offsets), 0.0).sum(axis=(1, 2))
    extent = jnp.where(there, jnp.abs(found[..., 2:] - target.sizes), 0.0).sum(axis=(1, 2))
    count = jnp.maximum(target.there.sum(axis=1), 1).astype(outputs.dtype)
    heat = focal_heat(outputs[..., : channels - 4], target.heat)
    known = ~(objects[..., 4] == HIDDEN_OBJECTS).any(axis=1)
    values = (heat + offset_weight * offset + size_weight * extent) / count
    values = jnp.where(_faulty(objects, channels - 4), jnp.nan, values)
    return Loss(jnp.where(known, values, 0.0), known.astype(values.dtype))


def _faulty(objects: Float[Array, "n m 5"], num_classes: int) -> Bool[Array, " n"]:
    """Whether a row is neither padding, nor hidden, nor a box with an area and a class."""
    classes = objects[..., 4]
    none = (classes == -1) | (classes == HIDDEN_OBJECTS)
    known = (classes >= 0) & (classes < num_classes) & (classes == jnp.floor(classes))
    sides = (objects[..., 2:4] - objects[..., :2]).min(axis=-1)
    finite = jnp.isfinite(objects).all(axis=-1)
    return ~(none | (known & finite & (sides > 0))).all(axis=1)
