"""ConFIG: published value, the pseudo-inverse as oracle, what is claimed."""

import numpy as np
import pytest
from mtl.oracles import (
    BASE,
    check_absent_and_broken,
    check_hard_cases,
    check_linear_under_scaling,
    check_permutation,
    cosines_with,
    directions,
    jacobians,
    one,
    solve,
)

from gan_mtl.mtl import conflict_free

WEIGHTING = conflict_free()


def config(jacobian):
    """(sum_i <g_i, x>) x, x the unit vector along U^+ 1."""
    units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    x = np.linalg.pinv(units) @ np.ones(len(units))
    x /= np.linalg.norm(x)
    return (jacobian @ x).sum() * x


def test_published_value():
    found = one(WEIGHTING, BASE) @ BASE
    np.testing.assert_allclose(found, [0.1588, 2.0706, 2.0706], atol=1e-4)
    np.testing.assert_allclose(found, config(BASE), rtol=1e-9)


@pytest.mark.parametrize("num_tasks, rank", [(1, None), (2, None), (3, None), (11, None), (11, 8)])
def test_is_the_least_squares_direction(num_tasks, rank):
    rows = jacobians(num_tasks, rank=rank, n=8, seed=1, shift=0.5, spread=2.0)
    expected = [config(j) for j in rows]
    found = directions(solve(WEIGHTING, rows), rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    """w_i = (|g_1| + |g_2|) / (2 |g_i|)."""
    rows = jacobians(2, seed=2, spread=4.0)
    norms = np.linalg.norm(rows, axis=2)
    expected = norms.sum(axis=1, keepdims=True) / (2 * norms)
    np.testing.assert_allclose(solve(WEIGHTING, rows, dtype), expected, rtol=1e-6)


def test_cosines_are_equal_and_positive():
    rows = jacobians(11, rank=20, n=8, seed=3, spread=2.0)
    for dtype, bound in ((np.float64, 1e-9), (np.float32, 1e-3)):
        seen = cosines_with(directions(solve(WEIGHTING, rows, dtype), rows), rows)
        assert seen.min() > 0
        np.testing.assert_allclose(seen, np.broadcast_to(seen[:, :1], seen.shape), atol=bound)


def test_what_is_claimed():
    check_linear_under_scaling(WEIGHTING)
    check_permutation(WEIGHTING, num_tasks=3, single=1e-3)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING)
