"""Krum: published value, scores in NumPy, what it refuses."""

import numpy as np
import pytest
from mtl.oracles import check_permutation, jacobians, one, solve

from gan_mtl.mtl import krum

ROWS = np.array([[1, 1, 1], [1, 0, 1], [75, -666, 23], [1, 2, 3], [2, 0, 1]], float)


def by_distances(jacobian, num_byzantine, num_selected):
    distances = ((jacobian[:, None] - jacobian[None]) ** 2).sum(axis=2)
    nearest = np.sort(distances, axis=1)[:, 1 : len(jacobian) - num_byzantine - 1]
    chosen = np.argsort(nearest.sum(axis=1), kind="stable")[:num_selected]
    return np.isin(np.arange(len(jacobian)), chosen) / num_selected


def test_published_value():
    weights = one(krum(1, 4), ROWS)
    np.testing.assert_allclose(weights, [0.25, 0.25, 0, 0.25, 0.25])
    np.testing.assert_allclose(weights @ ROWS, [1.25, 0.75, 1.5])


@pytest.mark.parametrize("num_byzantine, num_selected", [(0, 1), (3, 1), (2, 4), (8, 11)])
def test_scores(num_byzantine, num_selected):
    rows = jacobians(11, n=8, seed=1)
    expected = [by_distances(j, num_byzantine, num_selected) for j in rows]
    np.testing.assert_allclose(solve(krum(num_byzantine, num_selected), rows), expected)


def test_rows_of_zero_and_broken_rows_are_no_neighbours():
    rows = ROWS.copy()
    rows[1] = 0
    found = one(krum(1, 4), rows)
    assert found[1] == 0 and np.isclose(found.sum(), 1)
    rows[1] = np.nan
    broken = one(krum(1, 4), rows)
    assert np.isnan(broken[1])
    np.testing.assert_allclose(np.delete(broken, 1), np.delete(found, 1))
    assert (one(krum(1, 4), np.zeros((5, 3))) == 0).all()


def test_permutation():
    check_permutation(krum(2, 3))


def test_what_it_refuses():
    with pytest.raises(ValueError, match="krum: expected at least 4 tasks, got 3"):
        krum(1).init(3)
    with pytest.raises(ValueError, match="num_byzantine, num_selected: expected at least 0 and 1"):
        krum(0, 0)
