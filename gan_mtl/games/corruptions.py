r"""What is wrong with an image: holes, noise, blur, exposure, drawn anew for every example.

Pure functions `(images, context) -> Damaged` of images [n, h, w, c] in [0, 1], 0 black, for use
inside a compiled turn; their parameters are keywords, so that a config holds a partial. Every
random number belongs to a global example. Noisy images may leave [0, 1]; all others stay within.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.types import Context

Images = Float[Array, "n h w c"]


class Damaged(NamedTuple):
    """Damaged images, and where.

    images: shape [n, h, w, c].
    hole: shape [n, h, w, 1]: 1 where the image is to be repaired, 0 where it is as it was; 1
        everywhere after noise, blur and exposure.
    """

    images: Images
    hole: Float[Array, "n h w 1"]

    def joined(self, repaired: Images) -> Images:
        """Repaired pixels in the hole, the image's own elsewhere."""
        return jnp.where(self.hole > 0, repaired, self.images)


Corruption = Callable[[Images, Context], Damaged]


def _holed(images: Images, hole: Array, fill: float) -> Damaged:
    """`fill` where `hole`, of shape [n, h, w], is true."""
    hole = hole[..., None]
    filled = jnp.where(hole, jnp.asarray(fill, images.dtype), images)
    return Damaged(filled, hole.astype(images.dtype))


def _everywhere(images: Images, like: Images) -> Damaged:
    return Damaged(images, jnp.ones_like(like[..., :1]))


def _check_share(who: str, share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"{who}: share={share}: it is a part of the image, in (0, 1).")


def centre_hole(
    images: Images, context: Context, *, share: float = 0.5, fill: float = 0.0
) -> Damaged:
    """A hole in the middle whose sides are `share` of the image's, 14 x 14 of 28 x 28.

    Args:
        fill: what the hole shows.
    """
    del context
    _check_share("centre_hole", share)
    inside = []
    for size in images.shape[1:3]:
        side = round(share * size)
        first = (size - side) // 2
        inside.append((jnp.arange(size) >= first) & (jnp.arange(size) < first + side))
    hole = inside[0][:, None] & inside[1][None, :]
    return _holed(images, jnp.broadcast_to(hole, images.shape[:3]), fill)


def random_pixels(
    images: Images, context: Context, *, share: float = 0.5, fill: float = 0.0
) -> Damaged:
    """Every pixel is lost with probability `share`, all of its channels together."""
    _check_share("random_pixels", share)
    n, h, w, _ = images.shape
    lost = draws.uniform(n, (h, w), context.fold("pixels")) < share
    return _holed(images, lost, fill)


def free_form(
    images: Images,
    context: Context,
    *,
    strokes: int = 2,
    corners: int = 4,
    length: float = 0.4,
    width: tuple[float, float] = (0.08, 0.18),
    fill: float = 0.0,
) -> Damaged:
    """Strokes of a round brush: polygons that begin anywhere and turn at every corner.

    After Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019, whose strokes
    vary in number too.

    Args:
        strokes: of an image.
        corners: straight pieces of a stroke.
        length: the longest piece, in sides of the image; each is uniform from 0 on.
        width: the brush's, uniform between the two, in sides of the image.
        fill: what the hole shows.
    """
    if strokes < 1 or corners < 1 or not 0 < width[0] <= width[1]:
        raise ValueError(
            f"free_form: strokes={strokes}, corners={corners}, width={width}: give 1 or more, and "
            "a brush of positive width, the narrowest first."
        )
    n, h, w, _ = images.shape
    side = min(h, w)
    rows, columns = jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")
    pixels = jnp.stack([rows, columns], axis=-1).reshape(-1, 2) + 0.5

    def lost(key: jax.Array) -> Array:
        begin, turn, far, wide = jax.random.split(key, 4)
        starts = jax.random.uniform(begin, (strokes, 1, 2)) * jnp.array([[[h, w]]])
        angles = 2 * math.pi * jax.random.uniform(turn, (strokes, corners))
        reach = length * jax.random.uniform(far, (strokes, corners)) * side
        pieces = reach[..., None] * jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
        ends = starts + jnp.cumsum(pieces, axis=1)
        begins = jnp.concatenate([starts, ends[:, :-1]], axis=1)
        brush = jax.random.uniform(wide, (strokes, 1), minval=width[0], maxval=width[1])
        radius = jnp.broadcast_to(brush * side / 2, (strokes, corners)).reshape(-1)
        apart = _distances(pixels, begins.reshape(-1, 2), pieces.reshape(-1, 2))
        return (apart <= radius[None]).any(axis=1).reshape(h, w)

    return _holed(images, draws.per_example(lost, n, context.fold("strokes")), fill)


def _distances(
    points: Float[Array, "p 2"], begins: Float[Array, "s 2"], pieces: Float[Array, "s 2"]
) -> Float[Array, "p s"]:
    """Of points to segments `begins + t pieces`, t in [0, 1]."""
    offsets = points[:, None] - begins[None]
    squares = jnp.maximum((pieces**2).sum(axis=-1), 1e-12)
    t = jnp.clip((offsets * pieces[None]).sum(axis=-1) / squares[None], 0.0, 1.0)
    return jnp.sqrt(((offsets - t[..., None] * pieces[None]) ** 2).sum(axis=-1))


def gaussian_noise(images: Images, context: Context, *, sigma: float = 0.5) -> Damaged:
    """Normal noise on every pixel; not clipped, so that its mean is 0 on black as well."""
    if not sigma > 0:
        raise ValueError(f"gaussian_noise: sigma={sigma}: it must be above 0.")
    noise = draws.normal(images.shape[0], images.shape[1:], context.fold("noise"))
    return _everywhere(images + sigma * noise.astype(images.dtype), images)


_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))


def motion_blur(images: Images, context: Context, *, length: int = 5) -> Damaged:
    """The mean along a line of `length` pixels, in one of four directions; black from outside.

    Args:
        length: odd, 3 or more.
    """
    if length < 3 or length % 2 == 0:
        raise ValueError(f"motion_blur: length={length}: give an odd number of 3 or more.")
    n, h, w, _ = images.shape
    reach = length // 2
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    blurred = []
    for down, right in _DIRECTIONS:
        corners = [(reach + k * down, reach + k * right) for k in range(-reach, reach + 1)]
        moved = [padded[:, y : y + h, x : x + w] for y, x in corners]
        blurred.append(sum(moved) / length)
    return _everywhere(_chosen(jnp.stack(blurred), n, context.fold("direction")), images)


def exposure(
    images: Images,
    context: Context,
    *,
    gamma: tuple[float, float] = (0.3, 3.0),
    gain: tuple[float, float] = (1.0, 1.0),
) -> Damaged:
    r"""Under- and overexposure: :math:`\min(1, g\, x^\gamma)`, one g and one gamma an image.

    Args:
        gamma, gain: ranges; their logarithms are uniform between the two.
    """
    for name, (low, high) in (("gamma", gamma), ("gain", gain)):
        if not 0 < low <= high:
            raise ValueError(f"exposure: {name}=({low}, {high}): give 0 < low <= high.")
    n = images.shape[0]

    def drawn(name: str, low: float, high: float) -> Array:
        logs = draws.uniform(n, (), context.fold(name), math.log(low), math.log(high))
        return jnp.exp(logs).astype(images.dtype)[:, None, None, None]

    # a power of 0 has no gradient
    changed = drawn("gain", *gain) * jnp.maximum(images, 1e-6) ** drawn("gamma", *gamma)
    changed = jnp.where(images > 0, changed, 0.0)
    return _everywhere(jnp.minimum(changed, 1.0), images)


def one_of(images: Images, context: Context, *, corruptions: tuple[Corruption, ...]) -> Damaged:
    """Every image by one of several, drawn with equal probability."""
    if not corruptions:
        raise ValueError("one_of: corruptions=(): give one or more.")
    found = [c(images, context.fold(i)) for i, c in enumerate(corruptions)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *found)
    choose = functools.partial(_chosen, n=images.shape[0], context=context.fold("which"))
    return Damaged(*map(choose, stacked))


def _chosen(stacked: Float[Array, "k n h w c"], n: int, context: Context) -> Images:
    """One of k versions of every image."""
    which = draws.integers(n, stacked.shape[0], context)
    return jnp.take_along_axis(stacked, which[None, :, None, None, None], axis=0)[0]
