"""MGDA: published value, closed form of two tasks, active sets as oracle, optimality."""

import numpy as np
import pytest
from mtl.oracles import (
    check_absent_and_broken,
    check_hard_cases,
    check_no_conflict,
    check_permutation,
    check_published,
    directions,
    jacobians,
    min_norm,
    solve,
)

from gan_mtl.mtl import mgda

WEIGHTING = mgda()


def test_published_value():
    check_published(WEIGHTING, [0.6, 0.4], [0, 1, 1], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    rows = jacobians(2, seed=1, spread=2.0)
    a, b = rows[:, 0], rows[:, 1]
    gamma = ((b - a) * b).sum(1) / ((a - b) ** 2).sum(1)
    found = solve(WEIGHTING, rows, dtype)
    np.testing.assert_allclose(found[:, 0], np.clip(gamma, 0, 1), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "num_tasks, rank, dtype, tolerance",
    [
        (3, None, np.float64, 1e-9),
        (11, 8, np.float64, 1e-7),
        (40, 30, np.float64, 1e-7),
        (3, None, np.float32, 1e-5),
        (11, None, np.float32, 1e-5),
    ],
)
def test_is_the_shortest_combination(num_tasks, rank, dtype, tolerance):
    rows = jacobians(num_tasks, rank=rank, n=8, seed=2, shift=0.5)
    weights = solve(WEIGHTING, rows, dtype)
    expected = [j.T @ min_norm(j) for j in rows]
    np.testing.assert_allclose(directions(weights, rows), expected, atol=tolerance)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("num_tasks, rank", [(3, 2), (11, 8), (40, 30)])
def test_conditions_of_optimality_in_float32(num_tasks, rank):
    """G w >= |d|^2, with equality where w > 0, for rows of unit length."""
    rows = jacobians(num_tasks, rank=rank, n=8, seed=3, spread=0.0)
    w = solve(WEIGHTING, rows, np.float32)
    slopes = np.einsum("nij,nj->ni", rows @ rows.transpose(0, 2, 1), w)
    slack = slopes - (w * slopes).sum(axis=1, keepdims=True)
    assert np.abs(np.minimum(w, slack)).max() < 1e-5


def test_normalisations():
    """Of the gradients that the weights are found with; the weights apply to those as they are."""
    rows, losses = jacobians(3, n=4, seed=5, spread=2.0), np.array([[2.0, 0.5, 1.0]] * 4)
    norms = np.linalg.norm(rows, axis=2)
    for name, by in (("l2", norms), ("loss", losses), ("loss+", losses * norms)):
        expected = [min_norm(j / s[:, None]) for j, s in zip(rows, by, strict=True)]
        found = solve(mgda(normalise=name), rows, losses=losses)
        np.testing.assert_allclose(found, expected, atol=1e-8)
    assert mgda("loss").positive and mgda("loss+").positive and not mgda("l2").positive
    with pytest.raises(ValueError, match="normalise: expected one of"):
        mgda(normalise="l1")


def test_what_is_claimed():
    check_no_conflict(WEIGHTING)
    check_permutation(WEIGHTING)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING)
