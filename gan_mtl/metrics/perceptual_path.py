"""Perceptual path length: how fast the image changes as the latent moves.

Reference:
    Karras, Laine & Aila, "A Style-Based Generator Architecture for Generative Adversarial
    Networks", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

Space = Literal["z", "w"]


def path_distances(
    embed: Callable[[Array], Array],
    start: Float[Array, "n ..."],
    end: Float[Array, "n ..."],
    t: Float[Array, " n"],
    *,
    space: Space = "w",
    epsilon: float | None = 1e-4,
) -> Float[Array, " n"]:
    """`|f(x(t + epsilon)) - f(x(t))|^2 / epsilon^2` along the path x from `start` to `end`.

    Args:
        embed: f, from latents to the perceptual embedding of their images, `[n, ...] -> [n, ...]`:
            `lambda w: lpips(synthesis(w))`. For a distance that is no Euclidean one of an embedding
            there is no such f. The range of its images matters a great deal: rounding to uint8
            multiplies the score.
        start: latents, shape [n, ...].
        end: latents, shape [n, ...].
        t: where on the path: uniform in [0, 1) for the full path, zeros for its end point (the
            usual choice in w, "ppl2_wend").
        space: "w" goes straight, "z" around the sphere: directions along the great circle, norms
            straight. (The authors' code returns unit vectors, which is the same to a generator that
            normalises its latents.)
        epsilon: the paper's 1e-4. In float32 the difference keeps some three digits then; None
            takes the limit, the squared speed, by forward differentiation: exact, and cheaper.

    Returns:
        One value per path, shape [n]; see `perceptual_path_length` for their mean.
    """
    if start.shape != end.shape or t.shape != start.shape[:1]:
        raise ValueError(
            "start, end and t: expected shapes [n, ...], [n, ...] and [n], got "
            f"{start.shape}, {end.shape} and {t.shape}"
        )
    if space not in ("z", "w"):
        raise ValueError(f"space: expected 'z' or 'w', got {space!r}")
    if epsilon is not None and not epsilon > 0:
        raise ValueError(f"epsilon: expected a positive step, or None for the limit, got {epsilon}")
    between = _slerp if space == "z" else _lerp

    def along(s: Array) -> Array:
        s = s.reshape(-1, *(1,) * (start.ndim - 1))
        return embed(between(start, end, s))

    if epsilon is None:
        _, change = jax.jvp(along, (t,), (jnp.ones_like(t),))
    else:
        change = (along(t + epsilon) - along(t)) / epsilon
    return jnp.square(change).reshape(len(t), -1).sum(axis=1)


def perceptual_path_length(distances: ArrayLike, low: float = 1.0, high: float = 99.0) -> float:
    """The mean of the distances from the `low`-th to the `high`-th percentile, both included.

    As in the authors' code the percentiles are values that occur: the lower neighbour at `low`, the
    higher one at `high`. Their protocol takes 100,000 (StyleGAN) or 50,000 paths.

    Args:
        distances: of `path_distances`, shape [n].
        low: in percent.
        high: in percent.
    """
    values = np.asarray(distances, np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"distances: expected shape [n] with n >= 1, got {values.shape}")
    if not 0 <= low < high <= 100:
        raise ValueError(f"low and high: expected 0 <= low < high <= 100, got {low} and {high}")
    if not np.isfinite(values).all():
        raise ValueError("distances: expected finite values, found inf or nan")
    least = np.percentile(values, low, method="lower")
    most = np.percentile(values, high, method="higher")
    return float(values[(values >= least) & (values <= most)].mean())


def _lerp(a: Array, b: Array, t: Array) -> Array:
    return a + (b - a) * t


def _slerp(a: Array, b: Array, t: Array) -> Array:
    """Along the great circle from a's direction to b's, over all axes but the first."""
    axes = tuple(range(1, a.ndim))
    norm_a = jnp.sqrt(jnp.square(a).sum(axis=axes, keepdims=True))
    norm_b = jnp.sqrt(jnp.square(b).sum(axis=axes, keepdims=True))
    a, b = a / norm_a, b / norm_b
    cosine = (a * b).sum(axis=axes, keepdims=True)
    across = b - cosine * a
    sine = jnp.sqrt(jnp.square(across).sum(axis=axes, keepdims=True))
    angle = t * jnp.arctan2(sine, cosine)
    direction = a * jnp.cos(angle) + across / jnp.maximum(sine, 1e-12) * jnp.sin(angle)
    return direction * _lerp(norm_a, norm_b, t)
