"""MoDo: one step of MGDA's weights a training step, from two independent batches."""

from __future__ import annotations

import jax.numpy as jnp
from optax.projections import projection_simplex

from gan_mtl.mtl._rows import batches, reported
from gan_mtl.mtl.gramian import combine, products
from gan_mtl.types import Aggregator


def modo(gamma: float = 1e-3, rho: float = 0.1) -> Aggregator:
    """lambda = P(lambda - gamma (J_1 J_2' lambda + rho lambda)), and d = J_3' lambda.

    Chen et al. 2023, arXiv:2305.20057, with the l2 term of the authors' code. P projects onto the
    simplex; the batches are independent, so that the step is unbiased. The paper has two batches
    and takes d from both of them; the third is LibMTL's, whose defaults these are. lambda starts at
    1 / T and moves slowly: a trade-off between conflict, optimisation and generalisation is what
    the paper claims, not freedom from conflict in one step.

    Args:
        gamma: step size of the weights; 0.1 in the authors' code.
        rho: pull towards even weights; the paper's step has none.
    """
    if not (gamma >= 0 and rho >= 0):
        raise ValueError(f"gamma, rho: expected numbers >= 0, got {gamma}, {rho}")

    def update(key, losses, rows, state):
        del key, losses
        (first, second, third), good = batches(rows, 3)
        a = products(first, second)
        w = state.astype(a.dtype)
        w = projection_simplex(w - gamma * (a @ w + rho * w)).astype(a.dtype)
        direction = combine(w, third)
        return *reported(direction, w, good), w.astype(state.dtype)

    return Aggregator(lambda num_tasks: jnp.ones(num_tasks) / num_tasks, update, num_batches=3)
