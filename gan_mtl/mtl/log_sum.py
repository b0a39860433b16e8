"""The sum of logarithms: scale-invariant weights."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._losses import positive
from gan_mtl.mtl._precision import wide
from gan_mtl.types import Weighting


def log_sum() -> Weighting:
    """The gradient of `sum_i log l_i`: `w_i = 1 / l_i`, so that units of a loss do not matter.

    "Scale-invariant" (SI) in the tables of Navon et al., "Multi-Task Learning as a Bargaining
    Game", ICML 2022. Some codes take `log(1 + l_i)`, which is not scale-invariant. A task without
    labels in the batch (loss 0) has weight 0.
    """

    def update(key, losses, gramian, state):
        del key, gramian
        values, present = positive(wide(losses))
        return jnp.where(present, 1 / values, 0.0).astype(losses.dtype), state

    return Weighting(lambda num_tasks: (), update, needs_gramian=False, positive=True)
