"""UPGrad: published value, closed form of two tasks, active sets as oracle, and what is claimed."""

import numpy as np
import pytest
from mtl.oracles import (
    BASE,
    check_absent_and_broken,
    check_hard_cases,
    check_linear_under_scaling,
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

from gan_mtl.mtl import upgrad

WEIGHTING = upgrad()


def test_published_value():
    """TorchJD's holds its regulariser, 1e-4 of the trace: here more columns. Exact: 10/9, 15/19."""
    np.testing.assert_allclose(one(WEIGHTING, BASE), [10 / 9, 15 / 19], atol=1e-6)
    weights, direction = [1.1109, 0.7894], [0.2929, 1.9004, 1.9004]
    check_published(WEIGHTING, weights, direction, regularised(BASE))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    rows = jacobians(2, seed=1, spread=4.0)
    g = rows @ rows.transpose(0, 2, 1)
    expected = [1 + np.maximum(0, -g[:, 0, 1] / g[:, i, i]) for i in range(2)]
    found = solve(upgrad(pref=(1, 1)), rows, dtype)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "num_tasks, rank, dtype, tolerance",
    [
        (3, None, np.float64, 1e-9),
        (11, None, np.float64, 1e-9),
        (11, 8, np.float64, 1e-6),
        (11, 8, np.float32, 2e-3),
        (3, None, np.float32, 1e-4),
        (40, None, np.float64, 1e-8),
    ],
)
def test_is_the_mean_of_exact_projections(num_tasks, rank, dtype, tolerance):
    rows = jacobians(num_tasks, rank=rank, n=3 if num_tasks == 40 else 8, seed=2)
    units = np.eye(num_tasks)
    expected = [sum(j.T @ dual_cone(j, e) for e in units) / num_tasks for j in rows]
    found = directions(solve(WEIGHTING, rows, dtype), rows)
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_one_task():
    np.testing.assert_allclose(one(WEIGHTING, [[3.0, 4.0]]), [1.0])


def test_the_way_out_between_opposite_gradients_is_kept():
    """1e-3 rad from opposite: a regulariser of 1e-4 would shorten d by a factor of a hundred."""
    rows = np.array([[1.0, 1e-3], [-1.0, 1e-3]])
    d = one(upgrad(pref=(1, 1)), rows) @ rows
    np.testing.assert_allclose(d, [0, 4e-3], rtol=1e-5, atol=1e-9)


def test_what_is_claimed():
    check_no_conflict(WEIGHTING)
    check_linear_under_scaling(WEIGHTING)
    check_permutation(WEIGHTING)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING, constant=False)


def test_a_preference_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"pref: expected 2 numbers >= 0, got \(1, 2, 3\)"):
        one(upgrad(pref=(1, 2, 3)), BASE)
