"""IMTL-G: published value, closed form of two tasks, equal projections."""

import numpy as np
import pytest
from mtl.oracles import (
    check_absent_and_broken,
    check_hard_cases,
    check_permutation,
    check_published,
    directions,
    jacobians,
    solve,
)

from gan_mtl.mtl import imtl_g

WEIGHTING = imtl_g()


def test_published_value():
    check_published(WEIGHTING, [0.5923, 0.4077], [0.0767, 1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    """w_i = |g_j| / (|g_i| + |g_j|), whatever the angle, also between nearly opposite rows."""
    rows = jacobians(2, seed=1, spread=4.0)
    rows[1::2, 1] = -rows[1::2, 0] * 3 + 1e-5
    norms = np.linalg.norm(rows, axis=2)
    expected = norms[:, ::-1] / norms.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(solve(WEIGHTING, rows, dtype), expected, rtol=1e-6)


@pytest.mark.parametrize("num_tasks", [1, 3, 11, 40])
def test_projections_are_equal_and_weights_sum_to_one(num_tasks):
    rows = jacobians(num_tasks, rank=num_tasks + 5, n=8, seed=2, spread=2.0)
    units = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    for dtype, bound in ((np.float64, 1e-9), (np.float32, 1e-3)):
        weights = solve(WEIGHTING, rows, dtype)
        d = directions(weights, rows)
        seen = np.einsum("ntp,np->nt", units, d)
        np.testing.assert_allclose(seen - seen.mean(1, keepdims=True), 0, atol=bound)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=bound)


def test_independent_rows_have_the_published_weights():
    """v = G^-1 |g|, divided by its sum."""
    rows = jacobians(3, seed=3)
    g = rows @ rows.transpose(0, 2, 1)
    v = np.linalg.solve(g, np.linalg.norm(rows, axis=2)[:, :, None])[:, :, 0]
    expected = v / v.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(solve(WEIGHTING, rows), expected, rtol=1e-6, atol=1e-8)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING)
    check_permutation(WEIGHTING, num_tasks=3, single=1e-3)
