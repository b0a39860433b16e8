"""Smooth Tchebycheff scalarisation: a soft maximum of the weighted losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.mtl._losses import one_each, positive
from gan_mtl.mtl._precision import wide
from gan_mtl.types import Weighting


class StchState(NamedTuple):
    """Of the warm-up: steps done, and sums and counts of the losses of its last epoch."""

    step: Int[Array, ""]
    total: Float[Array, " tasks"]
    count: Int[Array, " tasks"]


def stch(
    mu: float = 1.0,
    preference: Sequence[float] | None = None,
    ideal: float | Sequence[float] = 0.0,
    *,
    epoch_steps: int | None = None,
    warmup_epochs: int = 4,
) -> Weighting:
    """The gradient of `mu log sum_i exp(lambda_i (l_i - z_i) / mu)`.

    `w_i = lambda_i softmax_i(lambda (l - z) / mu)`: for mu to 0 all weight is on the largest of the
    lambda_i (l_i - z_i).

    With `epoch_steps` it is the variant of the authors' code instead, which differs from the paper:
    for `warmup_epochs` epochs and one more the gradient of `sum_i log l_i`; the mean losses of that
    one more are the nadir n_i; from then on the gradient of `K mu log sum_i (l_i / n_i)^(1 / mu)`.
    Only this variant needs positive losses; a task without labels in the batch (loss 0) then has
    weight 0.

    Args:
        mu: smoothing, > 0; 1 in the authors' multi-task code.
        preference: lambda_i > 0; None is 1/K for all.
        ideal: z_i, below every loss that can be reached; for all or by objective.
        epoch_steps: updates of the turn that make an epoch; None is the paper's formula.
        warmup_epochs: 4 in the code.

    Reference:
        Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024.
    """
    if not mu > 0:
        raise ValueError(f"mu: expected a number > 0, got {mu}")
    if epoch_steps is not None:
        if preference is not None or ideal != 0.0:
            raise ValueError("preference and ideal: of the paper's formula, give no epoch_steps")
        return _with_warmup(mu, epoch_steps, warmup_epochs)

    def init(num_tasks):
        one_each("preference", preference, num_tasks)
        one_each("ideal", ideal, num_tasks)
        return ()

    def update(key, losses, gramian, state):
        del key, gramian
        values = wide(losses)
        rates = 1 / losses.size if preference is None else jnp.asarray(preference, values.dtype)
        above = values - jnp.asarray(ideal, values.dtype)
        return (rates * jax.nn.softmax(rates * above / mu)).astype(losses.dtype), state

    return Weighting(init, update, needs_gramian=False)


def _with_warmup(mu: float, epoch_steps: int, warmup_epochs: int) -> Weighting:
    if epoch_steps < 1 or warmup_epochs < 0:
        raise ValueError(
            "epoch_steps, warmup_epochs: expected integers >= 1 and >= 0, got "
            f"{epoch_steps} and {warmup_epochs}"
        )
    start, end = warmup_epochs * epoch_steps, (warmup_epochs + 1) * epoch_steps

    def init(num_tasks):
        zeros = jnp.zeros(num_tasks)
        return StchState(jnp.zeros((), jnp.int32), zeros, jnp.zeros(num_tasks, jnp.int32))

    def update(key, losses, gramian, state):
        del key, gramian
        values, present = positive(losses.astype(state.total.dtype))
        seen = present & (start <= state.step) & (state.step < end)
        total = state.total + jnp.where(seen, values, 0.0)
        count = state.count + seen
        nadir = jnp.where(count > 0, total / jnp.maximum(count, 1), 1.0)
        logits = jnp.where(present, jnp.log(values / nadir) / mu, -jnp.inf)
        numbers = jnp.where(present, losses.size * jax.nn.softmax(logits), 0.0)
        weights = jnp.where(state.step < end, present.astype(values.dtype), numbers) / values
        after = StchState(jnp.minimum(state.step, end) + 1, total, count)
        return weights.astype(losses.dtype), after

    return Weighting(init, update, needs_gramian=False, positive=True)
