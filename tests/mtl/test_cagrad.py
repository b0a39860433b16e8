"""CAGrad: published value, SLSQP and the conditions of optimality as oracles."""

import functools

import numpy as np
import pytest
from mtl.oracles import (
    check_absent_and_broken,
    check_hard_cases,
    check_permutation,
    check_published,
    cosines_with,
    directions,
    jacobians,
    solve,
)
from scipy.optimize import minimize, minimize_scalar

from gan_mtl import mtl

cagrad = functools.cache(mtl.cagrad)  # a program by setting, not by call
WEIGHTING = cagrad(0.4)


def dual(w, jacobian, c):
    """<g_w, g_0> + c |g_0| |g_w|."""
    g0, gw = jacobian.mean(axis=0), w @ jacobian
    return gw @ g0 + c * np.linalg.norm(g0) * np.linalg.norm(gw)


def slsqp(jacobian, c):
    """The least dual value over the simplex."""
    size = np.linalg.norm(jacobian, axis=1).max()
    t = len(jacobian)
    found = minimize(
        lambda w: dual(w, jacobian / size, c),
        np.full(t, 1 / t),
        bounds=[(0, 1)] * t,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.fun * size**2


def test_published_value():
    check_published(cagrad(c=0.5), [0.7041, 0.5], [0.1835, 1.2041, 1.2041])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks_by_a_search_in_one_dimension(dtype):
    rows, c = jacobians(2, n=8, seed=1), 0.5
    found = directions(solve(cagrad(c), rows, dtype), rows)
    for j, d in zip(rows, found, strict=True):
        best = minimize_scalar(
            lambda w, j=j: dual(np.array([w, 1 - w]), j, c),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        np.testing.assert_allclose((j @ d).min(), best.fun, atol=1e-6)


@pytest.mark.parametrize(
    "num_tasks, rank, c",
    [(3, None, 0.4), (3, 2, 0.4), (11, None, 0.4), (11, 8, 0.4)],
)
def test_duality(num_tasks, rank, c):
    """|d - g_0| <= c |g_0|, and min_i <g_i, d> is the dual value: so d is best. Both precisions."""
    rows = jacobians(num_tasks, rank=rank, n=8, seed=2)
    g0 = rows.mean(axis=1)
    radius = c * np.linalg.norm(g0, axis=1)
    for dtype, bound in ((np.float64, 1e-8), (np.float32, 1e-3)):
        weights = solve(cagrad(c), rows, dtype)
        d = directions(weights, rows)
        assert (np.linalg.norm(d - g0, axis=1) <= radius * (1 + bound)).all()
        w = np.maximum(weights - 1 / num_tasks, 0)
        w = w / w.sum(axis=1, keepdims=True)
        value = [dual(*x, c) for x in zip(w, rows, strict=True)]
        worst = np.einsum("ntp,np->nt", rows, d).min(axis=1)
        np.testing.assert_allclose(worst, value, atol=bound * np.abs(rows).max() ** 2)


def test_norms_four_decades_apart_cost_float32_no_more_than_rounding_the_weights():
    """The gap to the dual value, relative to the smallest row, beside that of the exact weights."""
    rows = jacobians(3, n=8, seed=5, spread=0.0) * np.array([1e-2, 1.0, 1e2])[None, :, None]
    exact, gaps = solve(WEIGHTING, rows), []
    for weights in (solve(WEIGHTING, rows, np.float32), exact.astype(np.float32), exact):
        d = directions(weights.astype(float), rows)
        w = np.maximum(exact - 1 / 3, 0)
        value = [dual(*x, 0.4) for x in zip(w / w.sum(axis=1, keepdims=True), rows, strict=True)]
        worst = np.einsum("ntp,np->nt", rows, d).min(axis=1)
        gaps.append(np.abs(worst - value) / (1e-2 * np.linalg.norm(d, axis=1)))
    found, rounded, best = (gap.max() for gap in gaps)
    assert best < 1e-10 and found < 4 * max(rounded, 1e-6)


def test_is_not_worse_than_slsqp():
    rows = jacobians(3, n=8, seed=3)
    found = directions(solve(WEIGHTING, rows), rows)
    for j, d in zip(rows, found, strict=True):
        np.testing.assert_allclose((j @ d).min(), slsqp(j, 0.4), atol=1e-6)


def test_no_conflict_from_c_of_one_on():
    rows = jacobians(3, seed=4, spread=2.0)
    assert cosines_with(directions(solve(cagrad(2.0), rows), rows), rows).min() > -1e-7
    rows = jacobians(3, rank=2, seed=4)
    d = directions(solve(cagrad(2.0), rows), rows)
    seen = np.where(np.linalg.norm(d, axis=1)[:, None] > 1e-5, cosines_with(d, rows), 0)
    assert seen.min() > -1e-4


def test_rescaling_and_the_mean():
    rows = jacobians(2, n=4, seed=5)
    plain = solve(cagrad(0.5), rows)
    np.testing.assert_allclose(solve(cagrad(0.5, rescale=1), rows), plain / 1.25, rtol=1e-9)
    np.testing.assert_allclose(solve(cagrad(0.5, rescale=2), rows), plain / 1.5, rtol=1e-9)
    np.testing.assert_allclose(solve(cagrad(0.0), rows), 1 / 2, rtol=1e-12)
    for wrong in ({"c": -1.0}, {"rescale": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            cagrad(**wrong)


def test_forty_tasks():
    rows = jacobians(40, rank=30, n=4, seed=6)
    weights = solve(WEIGHTING, rows)
    w = (weights - 1 / 40) / (weights - 1 / 40).sum(axis=1, keepdims=True)
    worst = np.einsum("ntp,np->nt", rows, directions(weights, rows)).min(axis=1)
    value = [dual(*x, 0.4) for x in zip(w, rows, strict=True)]
    np.testing.assert_allclose(worst, value, atol=1e-8)


def test_permutation():
    check_permutation(WEIGHTING)


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING, constant=False)
