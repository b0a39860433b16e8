"""GradDrop: at every coordinate, a sign is drawn, and gradients of the other sign are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl.mtl._rows import along, finite, reported, total, without_broken
from gan_mtl.types import Aggregator


def graddrop(leak: float | Sequence[float] = 0.0) -> Aggregator:
    """d = sum_i (l_i + (1 - l_i) M_i) g_i with random masks M_i (Chen et al. 2020, algorithm 1).

    arXiv:2010.06808. By coordinate P = (1 + sum_i g_i / sum_i |g_i|) / 2, U uniform, and M_i keeps
    g_i > 0 where P > U and g_i < 0 where P < U. On parameter gradients, as two public codes do;
    the paper masks the gradients of an activation, by sign(z) and summed over the batch. Unbiased
    in sign only, and no freedom from conflict is claimed. The weights returned are the share of
    coordinates, zeros left out, that a task keeps.

    Args:
        leak: l in [0, 1], one for all tasks or one a task.
    """
    leaks = np.ravel(np.asarray(leak, float))
    if not np.all((leaks >= 0) & (leaks <= 1)):
        raise ValueError(f"leak: expected numbers in [0, 1], got {leak}")

    def init(num_tasks):
        if leaks.shape[0] not in (1, num_tasks):
            raise ValueError(f"leak: expected 1 or {num_tasks} numbers, got {leak}")
        return ()

    def update(key, losses, rows, state):
        good = finite(rows)
        clean, tree = jax.tree.flatten(without_broken(rows, good))
        through = jnp.broadcast_to(jnp.asarray(leaks, losses.dtype), losses.shape)

        def kept(i, g):
            size = sum(map(jnp.abs, g))
            p = (1 + sum(g) / jnp.where(size > 0, size, 1)) / 2
            u = jax.random.uniform(jax.random.fold_in(key, i), p.shape, p.dtype)
            # Without the barrier XLA draws u anew for every task and comparison.
            positive, negative = jax.lax.optimization_barrier((p > u, p < u))
            mask = jnp.where(g > 0, positive[None], negative[None])
            return jnp.where(mask, 1, along(through, g).astype(g.dtype))

        masks = [kept(i, g) for i, g in enumerate(clean)]
        direction = [sum(m * g) for m, g in zip(masks, clean, strict=True)]
        used = [(g != 0).astype(losses.dtype) for g in clean]
        count = total(used)
        share = total([m * x for m, x in zip(masks, used, strict=True)]) / jnp.maximum(count, 1)
        return *reported(jax.tree.unflatten(tree, direction), share, good), state

    return Aggregator(init, update)
