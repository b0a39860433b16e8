"""FairGrad: alpha-fair gains of the tasks."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._solvers import power_point, reported, unit_rows
from gan_mtl.types import Weighting


def fairgrad(alpha: float = 1.0) -> Weighting:
    """The w > 0 with G w = w^(-1/alpha) (Ban and Ji 2024, eq. 4).

    arXiv:2402.15638. d = sum w_i g_i then maximises the alpha-fair utility of the gains <g_i, d>,
    which are positive. alpha = 1 is Nash-MTL's direction, alpha to infinity the largest least
    gain, alpha to 0 the largest sum. The minimiser of
    w' G w / 2 - sum_i w_i^(1-1/alpha) / (1-1/alpha), found by a damped Newton method where the
    authors' code asks a least-squares routine. Capped as `nash` is where no solution is finite.

    Args:
        alpha: > 0; 1 is the default of the authors' code, 2 is what its scripts run.
    """
    if not alpha > 0:
        raise ValueError(f"alpha: expected a number > 0, got {alpha}")
    q = 1 / alpha

    def update(key, losses, gramian, state):
        del key, losses
        rows = unit_rows(gramian)
        # With w = t x / norms: C x = c x^-q, where c = norms^(q-1), divided by its largest entry.
        logs = jnp.where(rows.present, (q - 1) * jnp.log(rows.norms), -jnp.inf)
        largest = jnp.where(rows.present.any(), logs.max(), 0)
        c = jnp.where(rows.present, jnp.exp(logs - largest), 1)
        x = power_point(rows.cosines, c, alpha)
        return reported(jnp.exp(largest / (1 + q)) * x / rows.norms, rows), state

    return Weighting(lambda num_tasks: (), update)
