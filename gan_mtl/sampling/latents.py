"""Latents: truncated ones, paths and grids between them, one code varied at a time."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.types import Context


def truncated_normal(
    n: int, shape: tuple[int, ...], context: Context, threshold: float
) -> Float[Array, "n ..."]:
    """Standard normal values, those beyond the threshold drawn again until they are within.

    The distribution of Brock et al.'s truncation trick, which draws again one value at a time; here
    in one go by the inverse of the distribution function. A smaller threshold gives better single
    samples and less variety. Not the truncation of StyleGAN, which moves w towards its mean.

    Args:
        n: examples of this slice; the draws belong to the global example.
        shape: of one latent.
        context: its key, and which examples the slice holds.
        threshold: positive; values are in (-threshold, threshold).

    Raises:
        ValueError: another threshold.

    Reference:
        Brock, Donahue & Simonyan, "Large Scale GAN Training for High Fidelity Natural Image
        Synthesis", ICLR 2019.
    """
    if not threshold > 0:
        raise ValueError(f"threshold: expected a positive value, got {threshold}")
    return draws.per_example(
        lambda key: jax.random.truncated_normal(key, -threshold, threshold, shape), n, context
    )


def lerp(a: Float[Array, "*d"], b: Float[Array, "*d"], t: Float[Array, ...]) -> Array:
    """`(1 - t) a + t b`, shape [*t.shape, *d]. For spaces without a preferred norm (w, uniform).

    Args:
        a, b: two latents of one shape [*d].
        t: any shape; 0 is a, 1 is b.
    """
    t = jnp.asarray(t).reshape(*jnp.shape(t), *(1,) * a.ndim)
    axes = tuple(range(t.ndim - a.ndim))
    a, b = jnp.expand_dims(a, axes), jnp.expand_dims(b, axes)
    return a + (b - a) * t


def slerp(a: Float[Array, "*d"], b: Float[Array, "*d"], t: Float[Array, ...]) -> Array:
    """`sin((1 - t) o) / sin(o) a + sin(t o) / sin(o) b`, with o the angle between a and b.

    Shape [*t.shape, *d]. Between normal latents of many dimensions the straight line passes through
    norms that the generator never sees; this keeps to them (White, "Sampling Generative Networks",
    2016). Latents of nearly one direction are joined by the line; opposite ones have no shortest
    arc.

    Args:
        a, b: two latents of one shape [*d].
        t: any shape; 0 is a, 1 is b.
    """
    norms = jnp.linalg.norm(a.ravel()) * jnp.linalg.norm(b.ravel())
    cosine = jnp.clip((a * b).sum() / jnp.where(norms > 0, norms, 1.0), -1.0, 1.0)
    angle = jnp.arccos(cosine)
    near = jnp.sin(angle) < 1e-4
    safe = jnp.where(near, 1.0, angle)
    t = jnp.asarray(t)
    first = jnp.where(near, 1 - t, jnp.sin((1 - t) * safe) / jnp.sin(safe))
    second = jnp.where(near, t, jnp.sin(t * safe) / jnp.sin(safe))
    return jnp.tensordot(first, a, axes=0) + jnp.tensordot(second, b, axes=0)


def interpolation_grid(
    corners: Float[Array, "corners ..."],
    rows: int,
    columns: int,
    between: Callable[[Array, Array, Array], Array] = slerp,
) -> Float[Array, "rows columns *d"]:
    """Latents between two or four others, ends included.

    Args:
        corners: two (then `rows` is 1), left and right; or four: top left, top right, bottom left,
            bottom right.
        rows, columns: of the grid, at least 2 where something varies.
        between: `slerp` or `lerp`.

    Raises:
        ValueError: another number of corners, or too few rows and columns for them.
    """
    count = len(corners)
    if count not in (2, 4):
        raise ValueError(f"corners: expected 2 or 4 latents, got {count}")
    if columns < 2 or (rows < 2 if count == 4 else rows != 1):
        raise ValueError(
            f"rows and columns: expected {'at least 2' if count == 4 else '1'} and at least 2 "
            f"for {count} corners, got {rows} and {columns}"
        )
    across = jnp.linspace(0.0, 1.0, columns)
    top = between(corners[0], corners[1], across)
    if count == 2:
        return top[None]
    bottom = between(corners[2], corners[3], across)
    down = jnp.linspace(0.0, 1.0, rows)
    return jax.vmap(lambda a, b: between(a, b, down), in_axes=(0, 0), out_axes=1)(top, bottom)


def traverse(
    latents: Float[Array, "n d"], index: int, values: Float[Array, " steps"]
) -> Float[Array, "n steps d"]:
    """Every latent once for each value of one of its codes, all others as they were.

    The rows and columns of InfoGAN's figures (Chen et al., NeurIPS 2016).

    Args:
        latents: shape [n, d].
        index: of the code that varies, 0 .. d - 1.
        values: what it takes, shape [steps].

    Raises:
        ValueError: an index that no code has.
    """
    n, d = latents.shape
    if not 0 <= index < d:
        raise ValueError(f"index: expected 0 to {d - 1}, a code of the latents, got {index}")
    repeated = jnp.broadcast_to(latents[:, None], (n, len(values), d))
    return repeated.at[:, :, index].set(jnp.broadcast_to(values[None], (n, len(values))))
