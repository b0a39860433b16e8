"""The plain sum of the objectives: every weight is one."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.types import Weighting


def equal() -> Weighting:
    """Weight one for every objective, whatever the losses: what a hand-written sum does.

    The baseline of every table. It needs no Gramian: one backward pass serves all objectives.
    """

    def update(key, losses, gramian, state):
        del key, gramian
        return jnp.ones_like(losses), state

    return Weighting(lambda num_tasks: (), update, needs_gramian=False)
