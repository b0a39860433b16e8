"""MGDA: the shortest convex combination of the gradients."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import min_norm, reported, unit_rows
from gan_mtl.types import Weighting

NORMALISATIONS = ("none", "l2", "loss", "loss+")


def mgda(normalise: str = "none") -> Weighting:
    """w = argmin over the simplex of |sum_i w_i g_i / s_i|^2 (Sener and Koltun 2018, eq. 3).

    arXiv:1810.04650, after Desideri 2012. Exact where published codes run Frank-Wolfe or a
    projected gradient. Claimed and kept: <g_i / s_i, d> >= |d|^2 for d = sum w_i g_i / s_i, so no
    conflict. Weights sum to 1. A small gradient takes most of the weight; the paper claims no
    invariance under scaling. As in the authors' code the weights, found with normalised
    gradients, are applied to the gradients as they are.

    Args:
        normalise: s_i = 1 (`none`), |g_i| (`l2`), the loss (`loss`) or their product (`loss+`).
            The latter two need positive losses.
    """
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise: expected one of {NORMALISATIONS}, got {normalise!r}")
    by_loss = normalise in ("loss", "loss+")

    def update(key, losses, gramian, state):
        del key
        rows = unit_rows(gramian)
        norms = rows.norms if normalise in ("none", "loss") else jnp.ones_like(rows.norms)
        if by_loss:
            norms = norms / jnp.maximum(losses, jnp.finfo(losses.dtype).tiny).astype(norms.dtype)
        return reported(min_norm(rows.cosines, norms, rows.present), rows), state

    return Weighting(lambda num_tasks: (), update, positive=by_loss)
