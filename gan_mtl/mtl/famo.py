"""FAMO: fast adaptive multi-task optimisation, from losses before and after a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_mtl.mtl._losses import Learned, descend, learned, one_each, positive, softmax_pullback
from gan_mtl.types import Optimizer, Weighting

EPSILON = 1e-8


class FamoState(NamedTuple):
    """Logits of the task weights, and the losses before the step."""

    xi: Learned
    before: Float[Array, " tasks"]


def famo(
    gamma: float = 0.01,
    optimizer: Optimizer | None = None,
    *,
    minima: float | Sequence[float] = 0.0,
) -> Weighting:
    """`w_i = c z_i / (l_i - m_i)` with `z = softmax(xi)`, m_i the least loss, c for a sum of 1.

    The gradient of `c sum_i z_i log(l_i - m_i)` with c a constant. After the step, xi descends
    along `J_z' (log(l - m) - log(l' - m))`, where l' are the losses on the same batch at the new
    parameters: one more forward pass, no further backward pass. All differences have 1e-8 added, as
    in the authors' code. Tasks without labels in the batch (loss 0) have weight 0 and are left out
    of c. The state is xi, shape [T], its optimizer's, and the losses before the step.

    The codes clip the norm of the shared gradient at 1 *after* the backward pass (one published
    port clips before it, which does nothing): chain `optax.clip_by_global_norm(1.0)` before the
    turn's optimizer.

    Args:
        gamma: decay of xi, added to its gradient as in PyTorch's Adam. In the authors' code 0.01 by
            default and for Cityscapes, 0.001 for the other data sets, 0 for the toy; 0.001 in
            LibMTL.
        optimizer: of xi, after the decay; None is Adam at 0.025.
        minima: m_i, for all or by objective.

    Reference:
        Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 1.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma: expected a number >= 0, got {gamma}")
    base = optax.adam(0.025) if optimizer is None else optimizer
    decayed = optax.chain(optax.add_decayed_weights(gamma), base)

    def above(losses):
        values, present = positive(losses)
        gap = values - jnp.asarray(minima, values.dtype) + EPSILON
        return jnp.where(present, jnp.where(gap > 0, gap, jnp.nan), 1.0), present

    def init(num_tasks):
        one_each("minima", minima, num_tasks)
        return FamoState(learned(jnp.zeros(num_tasks), decayed), jnp.zeros(num_tasks))

    def update(key, losses, gramian, state):
        del key, gramian
        before = losses.astype(state.before.dtype)
        gap, present = above(before)
        weights = jnp.where(present, jax.nn.softmax(state.xi.value) / gap, 0.0)
        total = weights.sum()
        weights = weights / jnp.where(total == 0, 1.0, total)
        return weights.astype(losses.dtype), FamoState(state.xi, before)

    def observe(losses_after, state):
        (gap, present), (gap_after, present_after) = map(
            above, (state.before, losses_after.astype(state.before.dtype))
        )
        change = jnp.where(present & present_after, jnp.log(gap) - jnp.log(gap_after), 0.0)
        gradient = softmax_pullback(jax.nn.softmax(state.xi.value), change)
        return state._replace(xi=descend(state.xi, gradient, decayed))

    return Weighting(init, update, needs_gramian=False, observe=observe, positive=True)
