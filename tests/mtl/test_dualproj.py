"""DualProj: published value, closed form of two tasks, active sets as oracle, no conflict."""

import numpy as np
import pytest
from mtl.oracles import (
    BASE,
    check_absent_and_broken,
    check_hard_cases,
    check_no_conflict,
    check_permutation,
    check_published,
    directions,
    dual_cone,
    jacobians,
    one,
    regularised,
    solve,
)

from gan_mtl.mtl import dualproj

WEIGHTING = dualproj()


def test_published_value():
    """TorchJD's holds its regulariser, 1e-4 of the trace: columns more here; exact is 11/18."""
    np.testing.assert_allclose(one(WEIGHTING, BASE), [11 / 18, 0.5], atol=1e-6)
    weights, direction = [0.6109, 0.5], [0.5563, 1.1109, 1.1109]
    check_published(WEIGHTING, weights, direction, regularised(BASE))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    rows = jacobians(2, seed=1, spread=4.0)
    g = rows @ rows.transpose(0, 2, 1)
    expected = [0.5 * np.maximum(1, -g[:, 0, 1] / g[:, i, i]) for i in range(2)]
    np.testing.assert_allclose(solve(WEIGHTING, rows, dtype), np.stack(expected, 1), rtol=1e-6)


@pytest.mark.parametrize(
    "num_tasks, rank, dtype, tolerance",
    [
        (3, None, np.float64, 1e-9),
        (11, 8, np.float64, 1e-7),
        (40, 30, np.float64, 1e-7),
        (3, None, np.float32, 1e-4),
        (11, None, np.float32, 1e-4),
    ],
)
def test_is_the_exact_projection(num_tasks, rank, dtype, tolerance):
    rows = jacobians(num_tasks, rank=rank, n=8, seed=2)
    pref = np.random.default_rng(0).uniform(size=num_tasks)
    expected = [j.T @ dual_cone(j, pref) for j in rows]
    weights = solve(dualproj(tuple(pref)), rows, dtype)
    np.testing.assert_allclose(directions(weights, rows), expected, atol=tolerance)
    assert (weights >= pref - 1e-6).all()


def test_conditions_of_the_quadratic_program_in_float32():
    """v >= u, G v >= 0 and (v - u) (G v) = 0, with rows of unit length, relative to v."""
    for num_tasks, rank in ((11, 8), (40, 30)):
        rows = jacobians(num_tasks, rank=rank, n=8, seed=3, spread=0.0)
        v = solve(WEIGHTING, rows, np.float32)
        slack = np.einsum("nij,nj->ni", rows @ rows.transpose(0, 2, 1), v)
        residual = np.abs(np.minimum(v - 1 / num_tasks, slack)).max(axis=1)
        assert (residual / v.max(axis=1)).max() < 1e-5


def test_what_is_claimed():
    check_no_conflict(WEIGHTING)
    check_permutation(WEIGHTING)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING, constant=False)
