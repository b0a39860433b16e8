"""Nash-MTL: published value, closed form of two tasks, residuals, the cap, and what is claimed."""

import numpy as np
import pytest
from mtl.oracles import (
    BASE,
    check_absent_and_broken,
    check_hard_cases,
    check_no_conflict,
    check_permutation,
    directions,
    hard_cases,
    jacobians,
    one,
    solve,
)

from gan_mtl.mtl import nash

PAPER = nash(max_norm=0.0, normalise=False)
WEIGHTING = nash()


def residual(weights, rows):
    """Largest |a_i (G a)_i - 1|."""
    g = rows @ rows.transpose(0, 2, 1)
    return np.abs(weights * np.einsum("nij,nj->ni", g, weights) - 1).max()


@pytest.mark.parametrize("weighting", [WEIGHTING, nash(normalise=False)])
def test_published_value(weighting):
    found = one(weighting, BASE) @ BASE
    np.testing.assert_allclose(found, [0.0542, 0.7061, 0.7061], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks(dtype):
    """d = (u_1 + u_2) / sqrt(1 + cos), with the rows' unit vectors; |d|^2 = 2."""
    rows = jacobians(2, seed=1, spread=4.0)
    units = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    cosine = (units[:, 0] * units[:, 1]).sum(axis=1)
    expected = units.sum(axis=1) / np.sqrt(1 + cosine)[:, None]
    found = directions(solve(PAPER, rows, dtype), rows)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("num_tasks", [1, 3, 11, 40])
@pytest.mark.parametrize("spread", [0.0, 6.0])
def test_residual(num_tasks, spread):
    rows = jacobians(num_tasks, n=8, rank=num_tasks + 5, seed=2, spread=spread)
    weights = solve(PAPER, rows)
    assert weights.min() > 0 and residual(weights, rows) < 1e-6
    lengths = np.linalg.norm(directions(weights, rows), axis=1)
    np.testing.assert_allclose(lengths**2, num_tasks, rtol=1e-6)


def test_residual_in_float32_and_of_dependent_rows():
    rows = jacobians(11, n=8, rank=30, seed=3, shift=1.0)
    assert residual(solve(PAPER, rows, np.float32), rows) < 1e-6
    rows = jacobians(11, n=8, rank=8, seed=3, shift=1.0)
    assert residual(solve(PAPER, rows), rows) < 1e-6


def test_scale_of_the_code():
    """G / |G|_F is solved for, and d is cut to max_norm."""
    rows = jacobians(3, n=8, seed=4, spread=2.0)
    frobenius = np.linalg.norm(rows @ rows.transpose(0, 2, 1), axis=(1, 2))
    plain = solve(PAPER, rows)
    found = solve(nash(max_norm=0.0), rows)
    np.testing.assert_allclose(found, plain * np.sqrt(frobenius)[:, None], rtol=1e-6)
    cut = np.linalg.norm(directions(solve(WEIGHTING, rows), rows), axis=1)
    lengths = np.linalg.norm(directions(found, rows), axis=1)
    np.testing.assert_allclose(cut, np.minimum(lengths, 1), rtol=1e-5)
    with pytest.raises(ValueError, match="max_norm: expected a number >= 0, got -1"):
        nash(max_norm=-1)


def test_the_direction_does_not_depend_on_the_scale_of_any_row():
    rows = jacobians(11, n=8, seed=5)
    scales = 10.0 ** np.random.default_rng(0).uniform(-6, 6, size=(8, 11, 1))
    plain, scaled = solve(PAPER, rows), solve(PAPER, rows * scales)
    np.testing.assert_allclose(scaled * scales[:, :, 0], plain, rtol=1e-6)


def test_what_is_claimed():
    check_no_conflict(WEIGHTING, shift=1.0)
    check_permutation(WEIGHTING)
    assert WEIGHTING.scales_private and not WEIGHTING.positive


def test_hard_cases():
    """Stationary rows have no finite solution: it is capped, and with max_norm d is at most 1."""
    for weighting in (WEIGHTING, PAPER):
        check_hard_cases(weighting, largest=1e20)
    check_absent_and_broken(PAPER)
    rows = np.stack([x for name, x in hard_cases().items() if name != "twenty decades"])
    for dtype in (np.float32, np.float64):
        d = directions(solve(WEIGHTING, rows, dtype), rows)
        assert np.linalg.norm(d, axis=1).max() < 1.01
