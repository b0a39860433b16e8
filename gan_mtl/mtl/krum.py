"""Krum: the gradients that lie closest to their neighbours."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import reported, unit_rows
from gan_mtl.types import Weighting


def krum(num_byzantine: int, num_selected: int = 1) -> Weighting:
    """The mean of the num_selected rows with the least scores (Blanchard et al. 2017, section 4).

    NeurIPS 2017, "Machine learning with adversaries". The score of row i is the sum of its squared
    distances to its T - num_byzantine - 2 closest rows. One row selected is Krum, more are
    Multi-Krum. Made for workers of one task: it drops the tasks that differ, and claims neither
    freedom from conflict nor invariance under scaling. Ties go to the lower row. Rows of zero are
    no neighbours and are not selected.

    Args:
        num_byzantine: rows that may be anything; T must be at least this plus 3.
        num_selected: rows that are averaged, at most T.
    """
    if num_byzantine < 0 or num_selected < 1:
        raise ValueError(
            "num_byzantine, num_selected: expected at least 0 and 1, got "
            f"{num_byzantine}, {num_selected}"
        )

    def init(num_tasks):
        if num_tasks < max(num_byzantine + 3, num_selected):
            least = max(num_byzantine + 3, num_selected)
            raise ValueError(f"krum: expected at least {least} tasks, got {num_tasks}")
        return ()

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        num_tasks = len(rows.norms)
        squares = jnp.where(rows.present, rows.norms**2, 0)
        products = rows.cosines * rows.norms[:, None] * rows.norms[None, :]
        distances = squares[:, None] + squares[None, :] - 2 * products
        both = rows.present[:, None] & rows.present[None, :] & ~jnp.eye(num_tasks, dtype=bool)
        ordered = jnp.sort(jnp.where(both, jnp.maximum(distances, 0), jnp.inf), axis=1)
        nearest = ordered[:, : num_tasks - num_byzantine - 2]
        scores = jnp.where(jnp.isfinite(nearest), nearest, 0).sum(axis=1)
        order = jnp.argsort(jnp.where(rows.present, scores, jnp.inf))
        count = jnp.clip(rows.present.sum(), 1, num_selected)
        chosen = jnp.zeros_like(scores).at[order[:num_selected]].set(1 / count)
        return reported(chosen, rows), state

    return Weighting(init, update)
