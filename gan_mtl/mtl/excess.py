"""ExcessMTL: weights grow with a task's estimated excess risk."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.mtl._precision import wide
from gan_mtl.mtl._rows import finite, reported, total, without_broken
from gan_mtl.mtl.gramian import combine
from gan_mtl.types import Aggregator

EPSILON = 1e-7  # under the root, as in the authors' code


class ExcessState(NamedTuple):
    """squares: sums of squared rows; first: first excess of each task, 0 before; weights."""

    squares: Any
    first: Float[Array, " tasks"]
    weights: Float[Array, " tasks"]


def excess(eta: float = 0.01) -> Aggregator:
    """w_i *= exp(eta e_i / e_i(first)), normalised to the sum T (He et al. 2024, eq. 9).

    arXiv:2402.02009. The excess risk e_i = g_i' H_i^-1 g_i is estimated with AdaGrad's diagonal,
    H_i = sqrt(1e-7 + sum of g_i^2 so far). Division by the first value and weights of sum T are
    the authors' code; a task's first step leaves its weight. Whole losses are weighted, private
    groups included. Robust to label noise is the claim, not free of conflict. The state is as
    large as the rows. A task that is absent keeps its share.

    Args:
        eta: step size of the weights, by default that of the authors' code (whose example has 1).
    """

    def init(num_tasks, rows):
        squares = jax.tree.map(jnp.zeros_like, rows)
        return ExcessState(squares, jnp.zeros(num_tasks), jnp.ones(num_tasks))

    def update(key, losses, rows, state):
        del key
        good = finite(rows)
        clean = without_broken(rows, good)
        squares = jax.tree.map(lambda s, g: s + g**2, state.squares, clean)

        def risk(g, s):
            return wide(g) ** 2 / jnp.sqrt(wide(s) + EPSILON)

        e = total(jax.tree.map(risk, clean, squares)).astype(state.first.dtype)
        grown = jnp.where(state.first > 0, e / jnp.where(state.first > 0, state.first, 1), 0)
        weights = jax.nn.softmax(jnp.log(state.weights) + eta * grown) * len(e)
        first = jnp.where(state.first > 0, state.first, e)
        direction, used = reported(combine(weights, clean), weights.astype(losses.dtype), good)
        return direction, used, ExcessState(squares, first, weights)

    return Aggregator(init, update, scales_private=True, keeps_rows=True)
