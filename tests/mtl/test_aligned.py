"""Aligned-MTL: published value, the singular value decomposition as oracle."""

import numpy as np
import pytest
from mtl.oracles import (
    check_absent_and_broken,
    check_hard_cases,
    check_permutation,
    check_published,
    directions,
    jacobians,
    one,
    solve,
)

from gan_mtl.mtl import aligned

WEIGHTING = aligned()


def by_svd(jacobian, pref, scale="min"):
    """sigma U V' pref-weighted, with J = U S V' and singular values of rounding left out."""
    u, s, v = np.linalg.svd(jacobian, full_matrices=False)
    kept = s**2 > s[0] ** 2 * len(jacobian) * np.finfo(float).eps
    squares = np.sort(s[kept] ** 2)
    chosen = {
        "min": squares[0],
        "median": squares[(len(squares) - 1) // 2],
        "rmse": squares.mean(),
    }[scale]
    return np.sqrt(chosen) * (pref @ u[:, kept]) @ v[kept]


def test_published_value():
    check_published(WEIGHTING, [0.5591, 0.4083], [0.2133, 0.9673, 0.9673])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    """G^(-1/2) in closed form: (G + sqrt(det) I)^-1 sqrt(tr + 2 sqrt(det))."""
    rows = jacobians(2, seed=1, shift=0.5)
    g = rows @ rows.transpose(0, 2, 1)
    root, trace = np.sqrt(np.linalg.det(g)), np.trace(g, axis1=1, axis2=2)
    inverse = np.linalg.inv(g + root[:, None, None] * np.eye(2))
    inverse *= np.sqrt(trace + 2 * root)[:, None, None]
    least = np.linalg.eigvalsh(g)[:, 0]
    expected = np.sqrt(least)[:, None] * inverse.sum(axis=2) / 2
    tolerance = 1e-6 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(solve(WEIGHTING, rows, dtype), expected, atol=tolerance)


@pytest.mark.parametrize(
    "scale, num_tasks, rank",
    [("min", 1, None), ("min", 11, 8), ("median", 3, None), ("rmse", 3, None)],
)
def test_is_the_aligned_matrix(scale, num_tasks, rank):
    rows = jacobians(num_tasks, rank=rank, n=8, seed=2)
    pref = np.random.default_rng(0).uniform(size=num_tasks)
    found = directions(solve(aligned(tuple(pref), scale), rows), rows)
    expected = [by_svd(j, pref, scale) for j in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_orthogonal_rows_are_made_as_long_as_the_shortest():
    rows = np.diag([2.0, 3.0, 4.0])
    np.testing.assert_allclose(one(aligned(pref=(1, 1, 1)), rows) @ rows, [2, 2, 2], rtol=1e-9)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_hard_cases(aligned(scale="median"))
    check_absent_and_broken(aligned((1, 1, 1)), constant=False)
    check_permutation(WEIGHTING, num_tasks=3, single=1e-3)
    with pytest.raises(ValueError, match="scale: expected one of"):
        aligned(scale="max")
