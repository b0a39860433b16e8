"""Nash-MTL: the bargaining solution, in which every task gains the same share."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import power_point, reported, unit_rows
from gan_mtl.types import Weighting


def nash(max_norm: float = 1.0, normalise: bool = True) -> Weighting:
    """The a > 0 with G a = 1 / a (Navon et al. 2022, claim 3.1), scaled as in the authors' code.

    arXiv:2202.01017. a is the minimiser of a' G a / 2 - sum_i log a_i, which is strictly convex:
    one damped Newton method, where the authors' code solves up to twenty conic programs.
    d = sum a_i g_i has <g_i, d> = 1 / a_i > 0 and, unscaled, |d|^2 = T; its direction does not
    depend on the scale of any row. Groups of one objective are scaled by a_i too, as there.
    Where the gradients are all but dependent with positive weights no solution is finite: it is
    capped where the cosines become rounding, and by max_norm.

    Args:
        max_norm: |d| is at most this; 0 does not bound it.
        normalise: solves for G / |G|_F, which lets d vanish with the gradients; False is the
            paper's equation.
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm: expected a number >= 0, got {max_norm}")

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        x = jnp.where(rows.present, power_point(rows.cosines, jnp.ones_like(rows.norms), 1.0), 0)
        length = jnp.sqrt(jnp.maximum(x @ rows.cosines @ x, 0))
        scale = jnp.ones((), x.dtype)
        if normalise:
            norms = jnp.where(rows.present, rows.norms, 0)
            largest = jnp.where(rows.present.any(), norms.max(), 1)
            squares = (norms / largest)[:, None] * rows.cosines * (norms / largest)[None, :]
            frobenius = jnp.sqrt((squares**2).sum())
            scale = largest * jnp.sqrt(jnp.where(frobenius > 0, frobenius, 1))
        if max_norm > 0:
            bound = max_norm / jnp.where(length > 0, length, 1)
            scale = jnp.where(length > 0, jnp.minimum(scale, bound), scale)
        return reported(scale * x / rows.norms, rows), state

    return Weighting(lambda num_tasks: (), update, scales_private=True)
