"""DB-MTL: logarithms of the losses, and averaged gradients made equally long."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from gan_mtl.mtl._rows import along, finite, norms, reported, scale, without_broken
from gan_mtl.mtl.gramian import combine
from gan_mtl.types import Aggregator

EPSILON = 1e-8  # in the logarithm, as in the authors' code


class DbmtlState(NamedTuple):
    """mean: averages of the rows of log losses; count: updates done."""

    mean: Any
    count: Int[Array, ""]


def dbmtl(beta: float = 0.9, sigma: float = 0.0) -> Aggregator:
    """d = sum_i alpha_i m_i, alpha_i = max_j |m_j| / |m_i| (Lin et al. 2023, algorithm 1).

    arXiv:2308.12029. m_i averages the gradients of log(l_i + 1e-8):
    m_i = beta_t m_i + (1 - beta_t) g_i / (l_i + 1e-8) with beta_t = beta / t^sigma, from 0. Groups
    of one objective take the gradient of the log loss, and 1 / (l_i + 1e-8) is the weight returned
    for them; alpha acts on the shared groups only. Nothing is claimed about conflict. The state is
    as large as the rows. A task that is absent keeps its average.

    Args:
        beta, sigma: of the average; the paper chooses them by data set, beta of 0.1, 0.5 and 0.9
            and sigma of 0 and 0.5. The defaults are the code's.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta: expected a number in [0, 1], got {beta}")

    def init(num_tasks, rows):
        del num_tasks
        return DbmtlState(jax.tree.map(jnp.zeros_like, rows), jnp.zeros((), jnp.int32))

    def update(key, losses, rows, state):
        del key
        good = finite(rows)
        weights = 1 / (losses + EPSILON)
        clean = without_broken(rows, good)
        present = norms(clean) > 0
        count = state.count + 1
        keep = beta * count.astype(losses.dtype) ** -sigma

        def average(mean, g):
            rate = (1 - keep).astype(mean.dtype)
            return mean + jnp.where(along(present, mean), rate * (g - mean), 0)

        mean = jax.tree.map(average, state.mean, scale(weights, clean))
        length = norms(mean)
        alpha = jnp.where(length > 0, length.max() / jnp.where(length > 0, length, 1), 0)
        return *reported(combine(alpha, mean), weights, good), DbmtlState(mean, count)

    return Aggregator(init, update, scales_private=True, positive=True, keeps_rows=True)
