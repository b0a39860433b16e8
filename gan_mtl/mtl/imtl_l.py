"""Impartial multi-task learning, the half that looks at losses: IMTL-L."""

from __future__ import annotations

import jax.numpy as jnp
import optax

from gan_mtl.mtl._losses import descend, learned, positive
from gan_mtl.types import Optimizer, Weighting


def imtl_l(optimizer: Optimizer | None = None) -> Weighting:
    """The gradient of `sum_i exp(s_i) l_i - s_i`, with `s_i` learned: `w_i = exp(s_i)`.

    s_i starts at 0 and descends `w_i l_i - 1` with its own optimizer: all weighted losses are drawn
    to 1. The state is s, shape [T], and the optimizer's. A task without labels in the batch (loss
    0) leaves its s to the optimizer's momentum.

    Args:
        optimizer: of s; None is Adam at 0.025, as for `uncertainty`. In the paper s is trained by
            the network's optimizer.

    Reference:
        Liu et al., "Towards Impartial Multi-Task Learning", ICLR 2021, equation 6. (Its other half
        is `imtl_g`.)
    """
    optimizer = optax.adam(0.025) if optimizer is None else optimizer

    def init(num_tasks):
        return learned(jnp.zeros(num_tasks), optimizer)

    def update(key, losses, gramian, state):
        del key, gramian
        values, present = positive(losses.astype(state.value.dtype))
        weights = jnp.exp(state.value)
        gradient = jnp.where(present, weights * values - 1, 0.0)
        return weights.astype(losses.dtype), descend(state, gradient, optimizer)

    return Weighting(init, update, needs_gramian=False, positive=True)
