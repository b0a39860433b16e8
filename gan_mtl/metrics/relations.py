"""How tasks relate: gradient conflict, affinities and the grouping they imply, task covariance.

What is read off a Gramian or off losses works inside a compiled step too, in the precision of its
argument; the grouping is a search on the host.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

MAX_TASKS = 12


def cosines(gramian: Float[Array, "tasks tasks"]) -> Float[Array, "tasks tasks"]:
    """Cosines between the gradients of all pairs of tasks; 0 where one of them is zero."""
    norms = jnp.sqrt(jnp.diagonal(gramian))
    lengths = norms[:, None] * norms[None, :]
    cosine = gramian / jnp.where(lengths > 0, lengths, 1.0)
    return jnp.where(lengths > 0, jnp.clip(cosine, -1, 1), 0.0)


def magnitude_similarity(gramian: Float[Array, "tasks tasks"]) -> Float[Array, "tasks tasks"]:
    """`2 a b / (a^2 + b^2)` of all pairs of gradient norms a, b: 1 for equal ones, towards 0.

    Two zero gradients have similarity 0.

    Reference:
        Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, definition 2.
    """
    squares = jnp.diagonal(gramian)
    total = squares[:, None] + squares[None, :]
    product = 2 * jnp.sqrt(squares)[:, None] * jnp.sqrt(squares)[None, :]
    return jnp.where(total > 0, product / jnp.where(total > 0, total, 1.0), 0.0)


def condition_number(gramian: Float[Array, "tasks tasks"]) -> Float[Array, ""]:
    """Largest over smallest singular value of the matrix of gradients; infinite if dependent.

    The roots of the Gramian's eigenvalues: below about 1 / sqrt(eps) of the largest they are
    rounding, so that in float32 values above 3000 mean "dependent".

    Reference:
        Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023.
    """
    values = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gramian), 0))
    return values[-1] / values[0]


def affinities(
    before: Float[Array, " tasks"], after: Float[Array, "tasks tasks"]
) -> Float[Array, "tasks tasks"]:
    """`Z[i, j] = 1 - L_j(theta after a step on i) / L_j(theta)`: positive where i's step helps j.

    Args:
        before: losses, positive, at the shared parameters theta.
        after: row i holds all losses on the same batch after a step of the shared parameters on
            task i alone (the heads stay).

    Average over steps for the affinity of a run.

    Reference:
        Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning", NeurIPS
        2021.
    """
    return 1 - after / before[None, :]


class Grouping(NamedTuple):
    """Which tasks to train together.

    groups: the tasks of every network, in rising order.
    serves: by task, the number of the group that it is taken from.
    score: the sum over tasks of their mean affinity within that group.
    """

    groups: tuple[tuple[int, ...], ...]
    serves: tuple[int, ...]
    score: float


def best_grouping(affinity: ArrayLike, max_groups: int, alone: float = 0.0) -> Grouping:
    """The groups that the affinities imply: the exact best of all sets of at most `max_groups`.

    Task j gains in a group the mean of Z[i, j] over its other members i, or `alone` in a group of
    its own. Groups may overlap: a task is taken from the group where it gains most, and may help in
    others. Of equal scores the fewest and smallest groups win.

    The tasks that a network serves form a partition, so a search over subsets of tasks suffices
    (3^tasks steps per group); the paper has branch and bound.

    Args:
        affinity: Z, shape [tasks, tasks], averaged over a run; the diagonal is not used.
        max_groups: how many networks can be afforded.
        alone: the gain of training alone; at 0 a task leaves companions that hurt it on average.

    Reference:
        As of `affinities`.
    """
    z = np.asarray(affinity, np.float64)
    tasks = len(z)
    if z.shape != (tasks, tasks) or not 1 <= tasks <= MAX_TASKS:
        raise ValueError(
            f"affinity: expected shape [tasks, tasks] with at most {MAX_TASKS} tasks (all subsets "
            f"are searched), got {z.shape}"
        )
    if max_groups < 1:
        raise ValueError(f"max_groups: expected an integer >= 1, got {max_groups}")
    value, hosts = _best_hosts(z, alone)
    everything = 2**tasks - 1
    best = {mask: (value[mask], (mask,)) for mask in range(1, everything + 1)}
    for _ in range(max_groups - 1):
        best = {mask: _split(mask, value, best) for mask in best}
    score, blocks = best[everything]
    serves = tuple(
        next(k for k, block in enumerate(blocks) if block >> j & 1) for j in range(tasks)
    )
    return Grouping(tuple(_members(hosts[block]) for block in blocks), serves, float(score))


def _members(mask: int) -> tuple[int, ...]:
    return tuple(j for j in range(int(mask).bit_length()) if mask >> j & 1)


def _best_hosts(z: np.ndarray, alone: float) -> tuple[np.ndarray, np.ndarray]:
    """For every set of served tasks the largest gain, and the group (a superset) that gives it.

    Sets are bit masks: both results have shape [2^tasks].
    """
    tasks = len(z)
    masks = np.array(sorted(range(1, 2**tasks), key=lambda m: (int(m).bit_count(), m)))
    member = (masks[:, None] >> np.arange(tasks)) & 1
    company = member.sum(axis=1, keepdims=True) - 1
    off_diagonal = z - np.diag(np.diag(z))
    gains = np.where(company > 0, member @ off_diagonal / np.maximum(company, 1), alone)
    value, hosts = np.zeros(2**tasks), np.zeros(2**tasks, int)
    for served, bits in zip(masks, member, strict=True):
        over = masks & served == served
        totals = gains[over] @ bits
        value[served], hosts[served] = totals.max(), masks[over][np.argmax(totals)]
    return value, hosts


def _split(mask: int, value: np.ndarray, best: dict) -> tuple[float, tuple[int, ...]]:
    """The best of a set with one more group: the block of its first task, the rest as before."""
    score, blocks = best[mask]
    first = mask & -mask
    rest = block = mask ^ first
    while block:  # all subsets of the rest, the full one left out
        block = (block - 1) & rest
        found, others = best[mask ^ first ^ block]
        total = value[first | block] + found
        if total > score + 1e-12 * (1 + abs(score)):
            score, blocks = total, (first | block, *others)
    return score, blocks


def task_covariance(weights: Float[Array, "d tasks"]) -> Float[Array, "tasks tasks"]:
    """`Omega = (W' W)^(1/2) / tr (W' W)^(1/2)`: the covariance of tasks that their heads imply.

    The minimum of `tr(W Omega^-1 W')` over positive semidefinite matrices of trace 1, where that
    equals the squared trace norm of W. From the singular values of W, not the eigenvalues of W' W,
    whose small ones are lost in float32. Heads of zero give I / tasks.

    Args:
        weights: W, one column per task: its head's weights, flattened.

    Reference:
        Zhang & Yeung, "A Convex Formulation for Learning Task Relationships in Multi-Task
        Learning", UAI 2010.
    """
    tasks = weights.shape[1]
    _, values, right = jnp.linalg.svd(weights, full_matrices=False)
    total = values.sum()
    root = (right.T * values[None]) @ right
    identity = jnp.eye(tasks, dtype=root.dtype) / tasks
    return jnp.where(total > 0, root / jnp.where(total > 0, total, 1.0), identity)
