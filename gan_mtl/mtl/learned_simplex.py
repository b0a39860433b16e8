"""Weights learned on the simplex, against the hardest mixture of the tasks."""

from __future__ import annotations

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import optax

from gan_mtl.types import Weighting

Rule = Literal["exponentiated", "projected"]


def learned_simplex(eta: float = 0.01, rule: Rule = "exponentiated") -> Weighting:
    """`min_theta max_alpha sum_i alpha_i l_i(theta)`, alpha on the simplex: `w = alpha`, by ascent.

    The alpha_i of `sum_i alpha_i V_i` cannot be learned by descent: that puts all weight on the
    task that is easiest already. Ascent guards the worst task. At every step, before it is used,

    - "exponentiated": `alpha_i <- alpha_i exp(eta l_i) / sum_j alpha_j exp(eta l_j)` (Sagawa et
      al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020, algorithm 1, where
      a step draws one group and moves its alpha alone);
    - "projected": `alpha <- project(alpha + eta l)` (Mohri, Sivek, Suresh, "Agnostic Federated
      Learning", ICML 2019); here weights become exactly 0, and can return.

    It starts at 1/K. Losses may have any sign, and only their differences matter; their units do.
    The state is alpha, shape [T] (its logarithm for "exponentiated", which does not underflow).

    Args:
        eta: the rate, > 0; 0.01 is the default of the code of Sagawa et al.
        rule: how alpha moves.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule: expected one of {get_args(Rule)}, got {rule!r}")
    if not eta > 0:
        raise ValueError(f"eta: expected a number > 0, got {eta}")

    def init(num_tasks):
        if rule == "projected":
            return jnp.full(num_tasks, 1 / num_tasks, float)
        return jnp.full(num_tasks, -math.log(num_tasks), float)

    def update(key, losses, gramian, state):
        del key, gramian
        moved = state + eta * losses.astype(state.dtype)
        if rule == "projected":
            alpha = state = optax.projections.projection_simplex(moved).astype(moved.dtype)
        else:
            state = jax.nn.log_softmax(moved)
            alpha = jnp.exp(state)
        return alpha.astype(losses.dtype), state

    return Weighting(init, update, needs_gramian=False)
