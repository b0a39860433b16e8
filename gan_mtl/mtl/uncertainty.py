"""Homoscedastic uncertainty: weights from learned variances."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import optax

from gan_mtl.mtl._losses import descend, learned, one_each, positive
from gan_mtl.types import Optimizer, Weighting


def uncertainty(
    optimizer: Optimizer | None = None,
    *,
    s: float = 0.0,
    factor: float | Sequence[float] = 0.5,
) -> Weighting:
    """The gradient of `sum_i a_i exp(-s_i) l_i + s_i / 2`, with `s_i = log sigma_i^2` learned.

    `w_i = a_i exp(-s_i)`, and `s_i` descends `1/2 - w_i l_i` with its own optimizer, on the same
    losses: parameters and variances move at once, as in the paper. Left alone, w_i goes to
    1 / (2 l_i). The state is s, shape [T], and the optimizer's. No weight decay acts on s unless
    the optimizer has it: it would draw the variances to 1. A task without labels in the batch (loss
    0) leaves its s to the optimizer's momentum.

    Args:
        optimizer: of s; None is Adam at 0.025, that of the benchmark of Nash-MTL.
        s: where all of them start; 0 there, -0.5 in LibMTL.
        factor: a_i, for all or by objective: 1/2 for a squared error (equation 7), 1 for a cross
            entropy (equation 10).

    Reference:
        Kendall, Gal, Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
        Geometry and Semantics", CVPR 2018.
    """
    optimizer = optax.adam(0.025) if optimizer is None else optimizer
    start = s

    def init(num_tasks):
        one_each("factor", factor, num_tasks)
        return learned(jnp.full(num_tasks, start, float), optimizer)

    def update(key, losses, gramian, state):
        del key, gramian
        values, present = positive(losses.astype(state.value.dtype))
        weights = jnp.asarray(factor, values.dtype) * jnp.exp(-state.value)
        gradient = jnp.where(present, 0.5 - weights * values, 0.0)
        return weights.astype(losses.dtype), descend(state, gradient, optimizer)

    return Weighting(init, update, needs_gramian=False, positive=True)
