"""IMTL-G: equal projections on all unit gradients."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import inverse_of_ones, reported, unit_rows
from gan_mtl.types import Weighting


def imtl_g() -> Weighting:
    """Weights of sum 1 for which <d, g_i / |g_i|> is the same for all tasks (Liu et al. 2021).

    ICLR 2021, "Towards impartial multi-task learning", eq. 2. w = v / sum v with v = G^+ |g|,
    here v = C^+ 1 / |g| with C the cosines, which is the same for independent rows; for two tasks
    w_i = |g_j| / (|g_i| + |g_j|). The authors invert a matrix of T - 1 tasks, which fails on
    dependent rows, and do so for the gradients of the features. Weights may be negative and d may
    conflict: the paper does not claim otherwise. Where sum v vanishes no such d exists, and the
    weights are 0.
    """

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        a = jnp.where(rows.present, jnp.min(jnp.where(rows.present, rows.norms, jnp.inf)), 0)
        v = inverse_of_ones(rows.cosines, rows.present) * a / rows.norms
        total, size = v.sum(), jnp.abs(v).sum()
        exists = jnp.abs(total) > 2 * len(v) * jnp.finfo(v.dtype).eps * size
        return reported(jnp.where(exists, v / jnp.where(exists, total, 1), 0), rows), state

    return Weighting(lambda num_tasks: (), update)
