"""PCGrad: published value, its own loop in NumPy, closed form of two tasks, random orders."""

import itertools

import numpy as np
import pytest
from mtl.oracles import (
    BASE,
    check_absent_and_broken,
    check_hard_cases,
    cosines_with,
    directions,
    jacobians,
    one,
    solve,
)

from gan_mtl.mtl import pcgrad, upgrad

WEIGHTING = pcgrad()


def projected(jacobian, i, order):
    """Gradient i after its projections in this order."""
    v = jacobian[i].copy()
    for j in order:
        g = jacobian[j]
        if v @ g < 0:
            v = v - (v @ g) / (g @ g) * g
    return v


def test_published_value():
    np.testing.assert_allclose(one(WEIGHTING, BASE), [20 / 9, 30 / 19], atol=1e-6)
    np.testing.assert_allclose(one(WEIGHTING, BASE) @ BASE, [0.5848, 3.8012, 3.8012], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tasks_are_upgrad_of_the_sum(dtype):
    rows = jacobians(2, seed=1, spread=4.0)
    g = rows @ rows.transpose(0, 2, 1)
    expected = [1 + np.maximum(0, -g[:, 0, 1] / g[:, i, i]) for i in range(2)]
    found = solve(WEIGHTING, rows, dtype)
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-6)
    np.testing.assert_allclose(found, solve(upgrad((1, 1)), rows, dtype), rtol=1e-6)


def test_three_tasks_project_in_some_order_and_every_order_is_drawn():
    """Task by task the sum must be one of the eight that the orders allow."""
    jacobian = jacobians(3, n=1, seed=12)[0]
    others = [[j for j in range(3) if j != i] for i in range(3)]
    pairs = [list(itertools.permutations(o)) for o in others]
    sums = np.array(
        [
            sum(projected(jacobian, i, order) for i, order in enumerate(choice))
            for choice in itertools.product(*pairs)
        ]
    )
    found = np.concatenate(
        [solve(WEIGHTING, np.repeat(jacobian[None], 32, 0), seed=s) for s in range(4)]
    )
    distance = np.abs(directions(found, [jacobian])[:, None] - sums[None]).max(axis=2)
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-9)
    distinct = len(np.unique(sums.round(8), axis=0))
    assert distinct > 1 and len(np.unique(found.round(8), axis=0)) == distinct


def test_agreeing_gradients_are_summed():
    rows = jacobians(11, n=8, seed=3, shift=6.0)
    assert (rows @ rows.transpose(0, 2, 1)).min() > 0
    np.testing.assert_allclose(solve(WEIGHTING, rows), 1.0, rtol=1e-12)


def test_more_than_two_tasks_may_still_conflict():
    """Not claimed, and not so."""
    rows = jacobians(11, rank=4, seed=4)
    assert cosines_with(directions(solve(WEIGHTING, rows), rows), rows).min() < -0.01


def test_hard_cases():
    check_hard_cases(WEIGHTING)
    check_absent_and_broken(WEIGHTING, constant=False)
