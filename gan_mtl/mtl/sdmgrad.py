"""SDMGrad: MGDA from three independent batches, pulled towards the mean gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from optax.projections import projection_simplex

from gan_mtl.mtl._rows import batches, reported
from gan_mtl.mtl.gramian import combine, products
from gan_mtl.types import Aggregator


def sdmgrad(
    lam: float = 0.3, lr: float = 5.0, momentum: float = 0.5, iterations: int = 20
) -> Aggregator:
    """d = (g_w + lambda g_0) / (1 + lambda) (Xiao, Ban and Ji 2023).

    arXiv:2305.18409. w follows projected gradient steps on the simplex for
    |g_w + lambda g_0|^2 / 2, with the unbiased gradient J_1 (J_2' (w + lambda / T)) of two
    independent batches; d is of the third. As in the authors' code J_1 J_2' is divided by the
    squared mean of the square roots of its diagonal, w starts where the last step ended and the
    momentum from rest. An estimate: it is neither exact nor free of conflict in one step.

    Args:
        lam: lambda, the pull towards the mean g_0; in the authors' scripts 0.3 for NYUv2 and
            Cityscapes, 0.6 for reinforcement learning.
        lr, momentum, iterations: of the steps for w. lr is LibMTL's, 10 in the authors' code.
    """
    if not lam >= 0:
        raise ValueError(f"lam: expected a number >= 0, got {lam}")

    def update(key, losses, rows, state):
        del key, losses
        (first, second, third), good = batches(rows, 3)
        a = products(first, second)
        size = jnp.sqrt(jnp.maximum(jnp.diagonal(a), 0)).mean()
        a = a / jnp.where(size > 0, size, 1) ** 2
        pull = lam / a.shape[0]

        def step(_, carry):
            w, speed = carry
            speed = momentum * speed + a @ (w + pull)
            return projection_simplex(w - lr * speed).astype(w.dtype), speed

        w = state.astype(a.dtype)
        w, _ = jax.lax.fori_loop(0, iterations, step, (w, jnp.zeros_like(w)))
        weights = (w + pull) / (1 + lam)
        direction = combine(weights, third)
        return *reported(direction, weights, good), w.astype(state.dtype)

    return Aggregator(lambda num_tasks: jnp.ones(num_tasks) / num_tasks, update, num_batches=3)
