"""GradVac: gradients are turned until their cosines reach what they were on average."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gan_mtl.mtl._solvers import random_orders, reported, unit_rows
from gan_mtl.types import Weighting


def gradvac(beta: float = 0.01) -> Weighting:
    """d = sum_i v_i, v_i the gradient g_i after its turns (Wang et al. 2021).

    arXiv:2010.05874. For the other tasks j in random order, with c the cosine of v_i and g_j and
    phi_ij its average: if c < phi_ij then
    v_i += |v_i| (phi sqrt(1-c^2) - c sqrt(1-phi^2)) / (|g_j| sqrt(1-phi^2)) g_j,
    and always phi_ij = (1 - beta) phi_ij + beta c. Over the whole of the shared groups (the paper
    also has it by groups of parameters). phi starts at 0, where the first step is PCGrad's. A
    public port updates phi only where c < phi. No freedom from conflict is claimed.

    Args:
        beta: of the average; 0.5 in the public codes, LibMTL and TorchJD.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta: expected a number in [0, 1], got {beta}")

    def update(key, losses, gramian, state):
        del losses
        rows = unit_rows(gramian)
        tasks = jnp.arange(len(rows.norms))
        orders = random_orders(key, len(tasks))
        tiny = jnp.finfo(gramian.dtype).eps

        def turn(t, carry):
            v, phi = carry
            j = orders[t]
            target = phi[tasks, j]
            size = jnp.sqrt(jnp.maximum(((v @ rows.cosines) * v).sum(axis=1), tiny**2))
            c = jnp.clip((v * rows.cosines[j]).sum(axis=1) / size, -1, 1)
            sine = jnp.sqrt(jnp.maximum(1 - target**2, tiny))
            step = size * (target * jnp.sqrt(1 - c**2) - c * sine) / sine
            met = (j != tasks) & rows.present & rows.present[j]
            v = v.at[tasks, j].add(jnp.where(met & (c < target), step, 0))
            return v, phi.at[tasks, j].add(jnp.where(met, beta * (c - target), 0))

        start = jnp.eye(len(tasks), dtype=gramian.dtype), state.astype(gramian.dtype)
        v, phi = jax.lax.fori_loop(0, len(orders), turn, start)
        weights = (rows.norms * rows.present) @ v / rows.norms
        return reported(weights, rows), phi.astype(state.dtype)

    return Weighting(lambda num_tasks: jnp.zeros((num_tasks, num_tasks)), update)
