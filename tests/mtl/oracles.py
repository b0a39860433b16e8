"""Oracles in NumPy float64 and SciPy, hard cases, and what runs a weighting on many of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

BATCH = 32  # problems of one compiled call, whatever their number
BASE = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])  # the Jacobian of TorchJD's published values
EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}


@functools.cache
def _compiled(weighting, x64):
    del x64  # a program by precision
    return jax.jit(jax.vmap(weighting.update, in_axes=(0, 0, 0, None)))


def solve(weighting, jacobians, dtype=np.float64, losses=None, seed=0, state=None):
    """Weights [N, T] in float64 for the Jacobians [N, T, P], from Gramians of the given dtype."""
    jacobians = np.asarray(jacobians, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gramians = (jacobians @ jacobians.transpose(0, 2, 1)).astype(dtype)
    n, num_tasks = gramians.shape[:2]
    losses = np.ones((n, num_tasks)) if losses is None else np.asarray(losses)
    found = []
    with jax.enable_x64(dtype == np.float64):
        state = weighting.init(num_tasks) if state is None else state
        keys = jax.random.split(jax.random.key(seed), BATCH)
        for i in range(0, n, BATCH):
            rows = np.resize(np.arange(i, min(i + BATCH, n)), BATCH)
            step = _compiled(weighting, dtype == np.float64)
            weights, _ = step(
                keys, jnp.asarray(losses[rows], dtype), jnp.asarray(gramians[rows]), state
            )
            assert weights.dtype == dtype and weights.shape == (BATCH, num_tasks)
            found.append(np.asarray(weights, np.float64)[: min(BATCH, n - i)])
    return np.concatenate(found)


def one(weighting, jacobian, dtype=np.float64, **options):
    """Weights [T] of one Jacobian [T, P]."""
    return solve(weighting, np.asarray(jacobian)[None], dtype, **options)[0]


def check_published(weighting, weights, direction, rows=BASE, atol=1e-4):
    """Weights and direction are those published, by default to four digits.

    Args:
        rows: what the weights are found with; the direction is that of `BASE`.
    """
    found = one(weighting, rows)
    np.testing.assert_allclose(found, weights, atol=atol)
    np.testing.assert_allclose(found @ BASE, direction, atol=atol)


def regularised(jacobian, share=1e-4):
    """With columns that add this share of the trace to the Gramian's diagonal."""
    size = np.sqrt(share) * np.linalg.norm(jacobian)
    return np.hstack([jacobian, size * np.eye(len(jacobian))])


def directions(weights, jacobians):
    """sum_i w_i g_i, shape [N, P]."""
    return np.einsum("nt,ntp->np", weights, jacobians)


def cosines_with(direction, jacobians):
    """Of each row with the direction [N, P], shape [N, T]; 0 where either vanishes."""
    products = np.einsum("ntp,np->nt", jacobians, direction)
    norms = np.linalg.norm(jacobians, axis=2) * np.linalg.norm(direction, axis=1)[:, None]
    return products / np.where(norms > 0, norms, 1)


def jacobians(num_tasks, n=BATCH, rank=None, seed=0, spread=1.0, shift=0.0):
    """Random [n, T, P], T <= P, of the rank asked for; norms spread over that many decades."""
    draw = np.random.default_rng(seed)
    rank = num_tasks + 2 if rank is None else rank
    size = num_tasks + 5
    rows = draw.normal(size=(n, num_tasks, rank)) @ draw.normal(size=(n, rank, size))
    rows = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    rows = rows + shift * draw.normal(size=(n, 1, size)) / np.sqrt(size)
    return rows * 10.0 ** draw.uniform(-spread / 2, spread / 2, size=(n, num_tasks, 1))


def hard_cases():
    """By name, Jacobians [3, 4] at which solvers break."""
    a, b, c = np.random.default_rng(1).normal(size=(3, 4))
    cases = {
        "zero row": [a, 0 * a, c],
        "one row left": [0 * a, b, 0 * a],
        "nothing left": [0 * a, 0 * a, 0 * a],
        "duplicates": [a, a, b],
        "all alike": [a, a, a],
        "opposite": [a, -a, b],
        "near opposite": [a, -a + 1e-4 * b, c],
        "nearer opposite": [a, -a + 1e-9 * b, c],
        "weakly stationary": [a, b, -a - b],
        "rank one": [a, -2 * a, 0.5 * a],
        "tiny": [1e-10 * a, 1e-10 * b, 1e-10 * c],
        "huge": [1e10 * a, 1e10 * b, 1e10 * c],
        "twenty decades": [1e-10 * a, b, 1e10 * c],
        "orthogonal": [[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0]],
    }
    return {name: np.asarray(rows, np.float64) for name, rows in cases.items()}


def check_hard_cases(weighting, largest=1e12):
    """Weights stay finite, and are 0 for rows of zero, in both precisions.

    Args:
        largest: bound of |w_i g_i| relative to the largest row.
    """
    cases = hard_cases()
    rows = np.stack(list(cases.values()))
    for dtype in (np.float32, np.float64):
        weights = solve(weighting, rows, dtype)
        for name, w, j in zip(cases, weights, rows, strict=True):
            norms = np.linalg.norm(j, axis=1)
            assert np.isfinite(w).all(), (name, dtype, w)
            np.testing.assert_array_equal(w[norms == 0], 0.0, err_msg=name)
            assert (np.abs(w) * norms <= largest * max(norms.max(), 1)).all(), (name, dtype, w)


def check_absent_and_broken(weighting, constant=True):
    """A row of zeros changes nothing else; a broken row is NaN and changes nothing else either.

    Args:
        constant: whether weights of two tasks among three are those of three with a zero row.
    """
    rows = jacobians(3, n=4, seed=3)
    absent, broken = rows.copy(), rows.copy()
    absent[:, 1] = 0.0
    broken[:, 1, 2] = np.nan
    infinite = rows.copy()
    infinite[:, 1, 0] = np.inf
    without = solve(weighting, absent)
    for bad in (broken, infinite):
        found = solve(weighting, bad)
        assert np.isnan(found[:, 1]).all()
        np.testing.assert_allclose(found[:, [0, 2]], without[:, [0, 2]], rtol=1e-12)
    if constant:
        two = solve(weighting, rows[:, [0, 2]])
        np.testing.assert_allclose(without[:, [0, 2]], two, rtol=1e-6, atol=1e-9)


def check_permutation(weighting, num_tasks=11, single=1e-5):
    """Weights follow their rows: to 1e-5 in float64, and in float32 to `single`, by condition."""
    rows = jacobians(num_tasks, n=8, seed=4, shift=1.0)
    order = np.random.default_rng(0).permutation(num_tasks)
    for dtype, tolerance in ((np.float64, 1e-5), (np.float32, single)):
        w, moved = (solve(weighting, x, dtype) for x in (rows, rows[:, order]))
        np.testing.assert_allclose(moved, w[:, order], rtol=tolerance, atol=tolerance)


def check_broken_batch(aggregator, batch):
    """Of three batches one has a broken row: its task is named, and the state stays finite."""
    three = np.stack(streams(steps=3)[0])
    three[batch, 1, 0] = np.nan
    direction, weights, state = aggregator.update(
        jax.random.key(0), jnp.ones((3, 3)), {"w": jnp.asarray(three)}, aggregator.init(3)
    )
    assert np.isfinite(state).all() and np.isnan(direction["w"]).all()
    assert np.isnan(weights).tolist() == [False, True, False]


def check_no_conflict(weighting, tolerance=1e-6, single=1e-3, shift=0.0):
    """J d >= 0 up to rounding, as cosines, also for dependent rows, which may be stationary.

    Args:
        shift: size of a common part of the rows, with which they are not stationary.
    """
    for num_tasks, rank in ((3, None), (3, 2), (11, None), (11, 8)):
        rows = jacobians(num_tasks, rank=rank, seed=5, spread=2.0, shift=shift)
        for dtype, bound in ((np.float64, tolerance), (np.float32, single)):
            d = directions(solve(weighting, rows, dtype), rows)
            lengths = np.linalg.norm(d, axis=1) / np.linalg.norm(rows, axis=(1, 2))
            seen = np.where(lengths[:, None] > 1e-4, cosines_with(d, rows), 0)
            assert seen.min() > -bound, (num_tasks, rank, dtype, seen.min())


def check_linear_under_scaling(weighting, tolerance=1e-4):
    """c -> d(diag(c) J) is linear for positive c, in both precisions."""
    rows = jacobians(3, n=8, seed=6)
    draw = np.random.default_rng(2)
    one_way, other = draw.uniform(0.1, 10, size=(2, 8, 3, 1))
    for dtype in (np.float64, np.float32):
        a, b, both = (
            directions(solve(weighting, x * rows, dtype), x * rows)
            for x in (one_way, other, 2 * one_way + 3 * other)
        )
        np.testing.assert_allclose(both, 2 * a + 3 * b, rtol=tolerance, atol=tolerance)


def dual_cone(jacobian, u):
    """argmin over v >= u of |J' v|, by Lawson and Hanson's active sets."""
    y, _ = nnls(jacobian.T, -jacobian.T @ u, maxiter=1000)
    return u + y


def min_norm(jacobian):
    """The shortest convex combination, by Lawson and Hanson's active sets."""
    size = np.linalg.norm(jacobian, axis=1).max()
    rows = np.vstack([jacobian.T / size, np.ones(len(jacobian))])
    y, _ = nnls(rows, np.r_[np.zeros(jacobian.shape[1]), 1.0], maxiter=1000)
    return y / y.sum()


def streams(steps, num_tasks=3, size=6):
    """Rows [T, P] and positive losses [T] of so many steps, two lists."""
    draw = np.random.default_rng(7)
    rows = [draw.normal(size=(num_tasks, size)) for _ in range(steps)]
    return rows, [draw.uniform(0.5, 2.0, size=num_tasks) for _ in range(steps)]


def onto_simplex(v):
    """The nearest point of the simplex, by sorting."""
    u = np.sort(v)[::-1]
    excess = np.cumsum(u) - 1
    last = np.nonzero(u * np.arange(1, len(v) + 1) > excess)[0][-1]
    return np.maximum(v - excess[last] / (last + 1), 0)
