"""What aggregators do with rows: per-task factors, several batches, rows that are broken.

The package's rule for a row that is not finite is kept here for methods that see the rows, and in
`_solvers` for those that see the Gramian.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gan_mtl.mtl._precision import wide
from gan_mtl.types import PyTree


def scale(factors: Array, rows: PyTree) -> PyTree:
    """Every row times its factor, shape [T]."""
    return jax.tree.map(lambda row: row * along(factors.astype(row.dtype), row), rows)


def along(factors: Array, row: Array) -> Array:
    """[T] as [T, 1, ...], for a leaf of shape [T, ...]."""
    return factors.reshape(factors.shape + (1,) * (row.ndim - 1))


def norms(rows: PyTree) -> Float[Array, " tasks"]:
    """The rows' lengths, accumulated in float32 or wider."""
    return jnp.sqrt(total(jax.tree.map(lambda row: jnp.square(wide(row)), rows)))


def total(rows: PyTree) -> Float[Array, " tasks"]:
    """The sum of each row's entries over all leaves."""
    return sum(row.reshape(row.shape[0], -1).sum(axis=1) for row in jax.tree.leaves(rows))  # pyright: ignore[reportReturnType]


def finite(rows: PyTree) -> Bool[Array, " tasks"]:
    """Which rows are finite throughout."""
    found = [
        jnp.isfinite(row).reshape(row.shape[0], -1).all(axis=1) for row in jax.tree.leaves(rows)
    ]
    return jnp.stack(found).all(axis=0)


def without_broken(rows: PyTree, good: Bool[Array, " tasks"]) -> PyTree:
    """The rows with zeros in place of those that are not finite."""
    return jax.tree.map(lambda row: jnp.where(along(good, row), row, 0), rows)


def batches(rows: PyTree, count: int) -> tuple[list[PyTree], Bool[Array, " tasks"]]:
    """The rows of several batches, leaves [count, T, ...], one by one; and which are whole in all.

    A row that is broken in one batch is zero in all of them.
    """
    found = [jax.tree.map(lambda row, i=i: row[i], rows) for i in range(count)]
    good = jnp.stack([finite(one) for one in found]).all(axis=0)
    return [without_broken(one, good) for one in found], good


def reported(direction: PyTree, weights: Array, good: Bool[Array, " tasks"]) -> tuple:
    """The direction and the weights as the package promises them where a row is broken."""
    broken = jnp.where(good.all(), 0.0, jnp.nan)
    direction = jax.tree.map(lambda x: x + broken.astype(x.dtype), direction)
    return direction, jnp.where(good, weights, jnp.nan)
