"""CAGrad: the direction near the mean gradient that is best for the worst task."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import conflict_averse, reported, unit_rows
from gan_mtl.types import Weighting


def cagrad(c: float = 0.4, rescale: int = 0) -> Weighting:
    """d = argmax over |d - g_0| <= c |g_0| of min_i <g_i, d> (Liu et al. 2021, eq. 3).

    arXiv:2110.14048. With g_0 the mean of all T gradients, w = argmin over the simplex of
    <g_w, g_0> + c |g_0| |g_w| and d = g_0 + c |g_0| g_w / |g_w|, so the weights are
    1 / T + c |g_0| w / |g_w|. Solved by an interior point, not SLSQP from the mean. Not in conflict
    for c >= 1 only; c = 0 is the mean.

    Args:
        c: in [0, 1) in the paper, 0.4 for NYUv2 and 0.2 for Cityscapes; the authors' code defaults
            to 0.5.
        rescale: 0 leaves d, as in the paper; 1 divides it by 1 + c^2, as the authors' code does; 2
            by 1 + c.
    """
    if not c >= 0:
        raise ValueError(f"c: expected a number >= 0, got {c}")
    if rescale not in (0, 1, 2):
        raise ValueError(f"rescale: expected 0, 1 or 2, got {rescale}")
    shrink = (1.0, 1 + c**2, 1 + c)[rescale]

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        largest = jnp.max(rows.norms * rows.present)
        share = jnp.where(rows.present, rows.norms, 0) / jnp.where(largest > 0, largest, 1)
        mean = share / len(share)  # of the unit rows, in units of the largest norm
        slopes = rows.cosines @ mean
        length = jnp.sqrt(jnp.maximum(mean @ slopes, 0))
        extra = jnp.zeros_like(mean)
        if c > 0:
            a = jnp.min(jnp.where(rows.present, rows.norms, jnp.inf)) / rows.norms
            b = slopes / (c * jnp.where(length > 0, length, 1))
            a, b = jnp.where(rows.present, a, 0), jnp.where(rows.present, b, 1)
            extra = c * length * largest * conflict_averse(rows.cosines, a, b) / rows.norms
            extra = jnp.where(largest > 0, extra, 0)
        return reported((1 / len(share) + extra) / shrink, rows), state

    return Weighting(lambda num_tasks: (), update)
