"""MoCo: slowly moving weights on running averages of the gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.mtl._rows import along, finite, norms, reported, scale, without_broken
from gan_mtl.mtl.gramian import combine, gramian
from gan_mtl.types import Aggregator


class MocoState(NamedTuple):
    """y: averages of the rows; weights: lambda; count: updates done."""

    y: Any
    weights: Float[Array, " tasks"]
    count: Int[Array, ""]


def moco(
    beta: float = 0.5,
    beta_sigma: float = 0.5,
    gamma: float = 0.1,
    gamma_sigma: float = 0.5,
    rho: float = 0.0,
    normalise: bool = True,
) -> Aggregator:
    """d = y' lambda with y a running average of the rows (Fernando et al. 2023).

    arXiv:2210.12624. In step t, y_i -= beta_t (y_i - h_i) and
    lambda = softmax(lambda - gamma_t (y y' + rho I) lambda), beta_t = beta / t^beta_sigma and
    gamma_t likewise, from y = 0 and lambda = 1 / T. As in the code that the authors shared with
    LibMTL, whose defaults these are, a softmax stands where the paper projects onto the simplex,
    and h_i = l_i g_i / |g_i| where the paper has h_i = g_i. The average removes the bias of noisy
    gradients in the limit; one step claims nothing about conflict. The state is as large as the
    rows. A task that is absent keeps its average.

    Args:
        normalise: h_i of the shared code, which needs positive losses; False is the paper's.
    """

    def init(num_tasks, rows):
        return MocoState(
            jax.tree.map(jnp.zeros_like, rows),
            jnp.ones(num_tasks) / num_tasks,
            jnp.zeros((), jnp.int32),
        )

    def update(key, losses, rows, state):
        del key
        good = finite(rows)
        clean = without_broken(rows, good)
        length = norms(clean)
        present = length > 0
        count = state.count + 1
        step = (count.astype(length.dtype)) ** -1.0
        if normalise:
            clean = scale(losses / jnp.where(present, length, 1), clean)

        def average(y, h):
            rate = (beta * step**beta_sigma).astype(y.dtype)
            return y - jnp.where(along(present, y), rate * (y - h), 0)

        y = jax.tree.map(average, state.y, clean)
        lam = state.weights.astype(length.dtype)
        pull = gramian(y) @ lam + rho * lam
        lam = jax.nn.softmax(lam - gamma * step**gamma_sigma * pull)
        after = MocoState(y, lam.astype(state.weights.dtype), count)
        return *reported(combine(lam, y), lam, good), after

    return Aggregator(init, update, positive=normalise, keeps_rows=True)
