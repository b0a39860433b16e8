"""PCGrad: every gradient loses its component against each other gradient, one after another."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gan_mtl.mtl._solvers import random_orders, reported, unit_rows
from gan_mtl.types import Weighting


def pcgrad() -> Weighting:
    """d = sum_i v_i, v_i the gradient g_i after its projections (Yu et al. 2020, algorithm 1).

    arXiv:2001.06782. For the other tasks j in random order: if <v_i, g_j> < 0 then
    v_i -= <v_i, g_j> / |g_j|^2 g_j, with g_j as it was. Done on weights: v_i = sum_k V_ik g_k.
    The order of each task is drawn from the key. The sum, as in the paper (a public port takes
    the mean). Two tasks: w_1 = 1 + max(0, -<g_1, g_2> / |g_1|^2), as UPGrad with pref (1, 1).
    For three and more, d may conflict; the paper does not claim otherwise.
    """

    def update(key, losses, gramian, state):
        del losses
        rows = unit_rows(gramian)
        orders = random_orders(key, len(rows.norms))

        def project(t, v):  # v: weights of the unit rows, one line a task
            j = orders[t]
            dots = (v * rows.cosines[j]).sum(axis=1)
            return v.at[jnp.arange(len(j)), j].add(jnp.maximum(-dots, 0))

        v = jax.lax.fori_loop(
            0, len(orders), project, jnp.eye(len(rows.norms), dtype=gramian.dtype)
        )
        return reported((rows.norms * rows.present) @ v / rows.norms, rows), state

    return Weighting(lambda num_tasks: (), update)
