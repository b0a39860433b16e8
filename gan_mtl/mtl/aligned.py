"""Aligned-MTL: the gradients' principal components made equally long."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from gan_mtl.mtl._solvers import preference, reported, unit_rows
from gan_mtl.types import Weighting

SCALES = ("min", "median", "rmse")


def aligned(pref: Sequence[float] | None = None, scale: str = "min") -> Weighting:
    """w = B pref with B = sigma V L^(-1/2) V' and G = V L V' (Senushkin et al. 2023, algorithm 1).

    arXiv:2305.19000. Eigenvalues up to L_max T eps are left out; sigma^2 is the least of the
    others. B J then has condition number 1. The paper claims convergence to a point that its pref
    chooses, and neither freedom from conflict nor invariance under scaling.

    Args:
        pref: one number >= 0 a task; None is 1 / T for all (the authors' code has ones).
        scale: sigma^2 is the least (`min`, the paper's), the lower median or the mean (`rmse`) of
            the eigenvalues kept.
    """
    if scale not in SCALES:
        raise ValueError(f"scale: expected one of {SCALES}, got {scale!r}")

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        norms = rows.norms * rows.present
        norms = norms / jnp.where(rows.present.any(), norms.max(), 1)
        values, vectors = jnp.linalg.eigh(norms[:, None] * rows.cosines * norms[None, :])
        kept = values > values[-1] * len(values) * jnp.finfo(values.dtype).eps
        ordered = jnp.sort(jnp.where(kept, values, jnp.inf))  # those kept come first
        count = jnp.maximum(kept.sum(), 1)
        chosen = {
            "min": ordered[0],
            "median": ordered[(count - 1) // 2],
            "rmse": jnp.where(kept, values, 0).sum() / count,
        }[scale]
        roots = jnp.where(kept, jnp.sqrt(chosen / jnp.where(kept, values, 1)), 0)
        w = (vectors * roots[None, :]) @ (vectors.T @ preference(pref, norms))
        return reported(w, rows), state

    return Weighting(lambda num_tasks: (), update)
