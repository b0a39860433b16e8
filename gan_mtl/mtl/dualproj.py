"""DualProj: the mean gradient, projected onto the cone that conflicts with no task."""

from __future__ import annotations

from collections.abc import Sequence

from gan_mtl.mtl._solvers import dual_cone, preference, reported, unit_rows
from gan_mtl.types import Weighting


def dualproj(pref: Sequence[float] | None = None) -> Weighting:
    """d = P(J' pref), with P the projection onto {x: J x >= 0}.

    The quadratic program of Gradient Episodic Memory (Lopez-Paz and Ranzato, NeurIPS 2017,
    arXiv:1706.08840, eq. 11) with every task in the role of a memory: weights are
    argmin over v >= pref of v' G v / 2, without their margin. Claimed and kept: J d >= 0.
    Not linear under scaling of the rows.

    Args:
        pref: one number >= 0 a task; None is 1 / T for all, the mean.
    """

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        u = preference(pref, rows.norms) * rows.norms * rows.present
        return reported(dual_cone(rows.cosines, u) / rows.norms, rows), state

    return Weighting(lambda num_tasks: (), update)
