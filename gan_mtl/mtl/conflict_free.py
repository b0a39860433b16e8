"""ConFIG: equal cosines with all gradients, and as long as their projections together."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import inverse_of_ones, reported, unit_rows
from gan_mtl.types import Weighting


def conflict_free() -> Weighting:
    """d = (sum_i <g_i, x>) x with x the unit vector along U^+ 1 (Liu, Chu and Thuerey 2024).

    arXiv:2408.11104, eq. 2, with U the unit rows. U^+ 1 = U' C^+ 1 with C the cosines, so
    the Gramian is enough. For independent rows <g_i / |g_i|, x> is the same and positive for all:
    no conflict. Linear under scaling of the rows. Dependent rows give the least-squares solution,
    for which the paper claims nothing.
    """

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        v = inverse_of_ones(rows.cosines, rows.present)
        slopes = rows.cosines @ v
        squared = v @ slopes
        largest = jnp.where(rows.present.any(), jnp.max(rows.norms * rows.present), 1)
        length = (rows.norms / largest * slopes * rows.present).sum()
        exists = squared > jnp.finfo(v.dtype).eps * (v @ v)
        w = length / jnp.where(exists, squared, 1) * v * (largest / rows.norms)
        return reported(jnp.where(exists, w, 0), rows), state

    return Weighting(lambda num_tasks: (), update)
