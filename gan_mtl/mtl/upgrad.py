"""UPGrad: the mean of the gradients, each projected onto the cone that conflicts with none."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gan_mtl.mtl._solvers import dual_cone, preference, reported, unit_rows
from gan_mtl.types import Weighting


def upgrad(pref: Sequence[float] | None = None) -> Weighting:
    """d = sum_i pref_i P(g_i), with P the projection onto {x: J x >= 0} (Quinton and Rey 2024).

    P(g_i) = J' v_i with v_i = argmin over v >= e_i of v' G v / 2 (arXiv:2406.16232, proposition 1);
    the weights are sum_i pref_i v_i, at least pref. Claimed and kept: J d >= 0, linear under
    scaling of the rows, no task favoured. For two tasks and pref (1, 1) it is PCGrad; the paper
    does not claim invariance under scaling. Exact: the public implementation adds 1e-4 to the
    Gramian, which hides the way out between gradients that are almost opposite.

    Args:
        pref: one number >= 0 a task; None is 1 / T for all.
    """

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        scales = preference(pref, rows.norms) * rows.norms * rows.present
        units = jnp.eye(len(scales), dtype=gramian.dtype)
        cones = jax.vmap(dual_cone, (None, 0))(rows.cosines, units)
        return reported(scales @ cones / rows.norms, rows), state

    return Weighting(lambda num_tasks: (), update)
