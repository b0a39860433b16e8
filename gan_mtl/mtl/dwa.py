"""Dynamic weight average: weights from how fast each loss falls."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.mtl._losses import positive
from gan_mtl.types import Weighting


class DwaState(NamedTuple):
    """The running epoch and the mean losses of the two epochs before it, the newest first."""

    step: Int[Array, ""]
    total: Float[Array, " tasks"]
    count: Int[Array, " tasks"]
    means: Float[Array, "2 tasks"]


def dwa(epoch_steps: int, T: float = 2.0) -> Weighting:
    """`w_i = K softmax_i(r / T)` with `r_i = L_i(t-1) / L_i(t-2)`, the ratio of epoch means.

    In the first two epochs w_i = 1. A task without labels in a batch (loss 0) does not enter its
    mean; without labels in a whole epoch it keeps the mean of the epoch before.

    Args:
        epoch_steps: updates of the turn that make an epoch.
        T: temperature; large values give equal weights.

    Reference:
        Liu, Johns, Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation 7.
    """
    if epoch_steps < 1:
        raise ValueError(f"epoch_steps: expected an integer >= 1, got {epoch_steps}")
    if not T > 0:
        raise ValueError(f"T: expected a number > 0, got {T}")

    def init(num_tasks):
        return DwaState(
            jnp.zeros((), jnp.int32),
            jnp.zeros(num_tasks),
            jnp.zeros(num_tasks, jnp.int32),
            jnp.ones((2, num_tasks)),
        )

    def update(key, losses, gramian, state):
        del key, gramian
        weights = losses.size * jax.nn.softmax(state.means[0] / state.means[1] / T)
        weights = jnp.where(state.step < 2 * epoch_steps, 1.0, weights)
        return weights.astype(losses.dtype), _observed(state, losses, epoch_steps)

    return Weighting(init, update, needs_gramian=False, positive=True)


def _observed(state: DwaState, losses: Array, epoch_steps: int) -> DwaState:
    """The state after a step: its losses are added, and a full epoch becomes a mean."""
    values, present = positive(losses.astype(state.total.dtype))
    step = state.step + 1
    total = state.total + jnp.where(present, values, 0.0)
    count = state.count + present
    newest = jnp.where(count > 0, total / jnp.maximum(count, 1), state.means[0])
    means = jnp.stack([newest, state.means[0]])
    full = step % epoch_steps == 0
    return DwaState(
        step,
        jnp.where(full, 0.0, total),
        jnp.where(full, 0, count),
        jnp.where(full, means, state.means),
    )
