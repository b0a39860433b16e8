"""FairGrad: residuals of its equation, the Nash direction at alpha = 1, limits in alpha."""

import functools

import numpy as np
import pytest
from mtl.oracles import (
    check_absent_and_broken,
    check_hard_cases,
    check_no_conflict,
    check_permutation,
    directions,
    jacobians,
    solve,
)

from gan_mtl import mtl
from gan_mtl.mtl import nash

fairgrad = functools.cache(mtl.fairgrad)  # a program by alpha, not by call


def residual(weights, rows, alpha):
    """Largest relative error of G w = w^(-1/alpha)."""
    g = rows @ rows.transpose(0, 2, 1)
    return np.abs(np.einsum("nij,nj->ni", g, weights) * weights ** (1 / alpha) - 1).max()


@pytest.mark.parametrize(
    "alpha, num_tasks, spread",
    [(1.0, 2, 4.0), (2.0, 2, 4.0), (0.5, 3, 4.0), (2.0, 3, 4.0), (10.0, 3, 4.0), (2.0, 40, 1.0)],
)
def test_residual(alpha, num_tasks, spread):
    rows = jacobians(num_tasks, n=8, rank=num_tasks + 5, seed=1, spread=spread)
    weights = solve(fairgrad(alpha), rows)
    assert weights.min() > 0 and residual(weights, rows, alpha) < 1e-6


def test_residual_in_float32():
    rows = jacobians(11, n=8, rank=30, seed=2, shift=1.0)
    assert residual(solve(fairgrad(2.0), rows, np.float32), rows, 2.0) < 3e-6


def test_alpha_of_one_is_nash():
    rows = jacobians(3, n=8, seed=3)
    expected = solve(nash(max_norm=0.0, normalise=False), rows)
    np.testing.assert_allclose(solve(fairgrad(), rows), expected, rtol=1e-9)


def test_one_task():
    """|g|^2 w = w^(-1/alpha)."""
    rows = np.array([[[3.0, 4.0]]])
    for alpha in (1.0, 2.0):
        power = -1 / (1 + 1 / alpha)
        np.testing.assert_allclose(solve(fairgrad(alpha), rows), 25.0**power, rtol=1e-9)


def test_gains_grow_more_alike_with_alpha():
    """The gains are w^(-1/alpha): their spread falls as alpha grows."""
    rows = jacobians(3, n=8, seed=4, spread=2.0)
    spreads = []
    for alpha in (0.5, 1.0, 2.0, 10.0):
        gains = np.einsum("ntp,np->nt", rows, directions(solve(fairgrad(alpha), rows), rows))
        spreads.append((gains.max(axis=1) / gains.min(axis=1)).mean())
    assert spreads == sorted(spreads, reverse=True)


def test_what_is_claimed():
    check_no_conflict(fairgrad(2.0), shift=1.0)
    check_permutation(fairgrad(2.0))


def test_hard_cases():
    check_hard_cases(fairgrad(), largest=1e20)
    check_hard_cases(fairgrad(2.0), largest=1e30)
    check_absent_and_broken(fairgrad(2.0))


def test_alpha_must_be_positive():
    with pytest.raises(ValueError, match="alpha: expected a number > 0, got 0"):
        fairgrad(0)
