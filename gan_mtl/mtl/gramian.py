"""From rows (one gradient tree per objective) to their Gramian, and back to one direction."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.mtl._precision import wide
from gan_mtl.types import Aggregator, PyTree, Weighting


def gramian(rows: PyTree) -> Float[Array, "tasks tasks"]:
    """Inner products J J' of the rows, leaf by leaf in float32 or wider; nothing is flattened.

    Args:
        rows: a tree whose leaves have shape [T, ...].
    """
    return products(rows, rows)


def products(left: PyTree, right: PyTree) -> Float[Array, "tasks tasks"]:
    """Inner products J_1 J_2' of the rows of two batches, as `gramian` takes them of one."""

    def leaf(a: Array, b: Array) -> Array:
        return wide(a).reshape(a.shape[0], -1) @ wide(b).reshape(b.shape[0], -1).T

    parts = jax.tree.leaves(jax.tree.map(leaf, left, right))
    total: Array = sum(parts)  # pyright: ignore[reportAssignmentType]
    # LAPACK, in a solver, wants columns one after another; without the barrier XLA on CPU has the
    # products come out so, by a loop that is five times slower than its kernels.
    return jax.lax.optimization_barrier(total.reshape(-1)).reshape(total.shape)


def combine(weights: Float[Array, " tasks"], rows: PyTree) -> PyTree:
    """The weighted sum of the rows: the same tree without the leading axis."""
    return jax.tree.map(lambda row: jnp.tensordot(weights.astype(row.dtype), row, axes=1), rows)


def from_weighting(weighting: Weighting) -> Aggregator:
    """Lifts a weighting to an aggregator: the direction is the weighted sum of the rows.

    A loss weighting (one that needs no Gramian) also scales the gradients of private groups; a
    Gramian weighting leaves them at weight one, unless it says `scales_private`.
    """

    def update(key, losses, rows, state):
        products = gramian(rows) if weighting.needs_gramian else None
        weights, state = weighting.update(key, losses, products, state)
        return combine(weights, rows), weights, state

    return Aggregator(
        weighting.init,
        update,
        weighting.observe,
        scales_private=weighting.scales_private or not weighting.needs_gramian,
        positive=weighting.positive,
    )
