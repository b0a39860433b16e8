"""The two-task toy: its losses, its front, and that a path is Adam's."""

import jax
import numpy as np
import optax
import pytest

from experiments import mtl_toy
from gan_mtl import mtl


@pytest.fixture(autouse=True, scope="module")
def wide():
    with jax.enable_x64(True):
        yield


def test_losses_at_known_points():
    """By hand: on the front only the bowls count, far above only the logarithms."""
    first, second = mtl_toy.objectives(np.array([0.0, -8.3552]))
    bowl = (49 + 0.1 * 0.3552**2) / 10 - 20
    weight = np.tanh(0.5 * 8.3552)
    assert float(first) == pytest.approx(weight * bowl, rel=1e-12)
    assert float(second) == pytest.approx(float(first), rel=1e-12)
    x1, x2 = 9.0, 40.0
    first, second = mtl_toy.objectives(np.array([x1, x2]))
    assert float(first) == pytest.approx(np.log(abs(0.5 * (-x1 - 7) - np.tanh(-x2))) + 6)
    assert float(second) == pytest.approx(np.log(abs(0.5 * (-x1 + 3) + np.tanh(-x2) + 2)) + 6)


def test_distance_from_the_front():
    ends = np.array([[0.0, -8.3552], [9.0, 9.0], [np.nan, 1.0]])
    found = mtl_toy.distance(ends)
    assert found[0] < 1e-3 and found[1] > 1 and np.isnan(found[2])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_paths_are_those_of_adam_on_the_sum(dtype):
    found = mtl_toy.paths(mtl.equal(), mtl_toy.EVERY, dtype)
    assert found.shape == (2, 5, 1, 2) and found.dtype == dtype
    adam = optax.adam(1e-3)

    def total(x):
        first, second = mtl_toy.objectives(x)
        return 0.1 * first + second

    @jax.jit
    def step(x, state):
        updates, state = adam.update(jax.grad(total)(x), state)
        return optax.apply_updates(x, updates), state

    for i, start in enumerate(mtl_toy.STARTS):
        x = np.asarray(start)
        state = adam.init(x)
        for _ in range(mtl_toy.EVERY):
            x, state = step(x, state)
        tolerance = 1e-9 if dtype == "float64" else 2e-4
        np.testing.assert_allclose(found[0, i, 0], x, rtol=tolerance, atol=tolerance)


def test_the_table_says_where_a_run_ended_that_missed():
    def part(gap):
        return {
            "reached": {"0.1": 4, "1.0": 5},
            "distances": [[0.0, 0.0, 0.0, 0.0, gap], [0.0] * 5],
            "ends": [[[1.0, 2.0]] * 5] * 2,
        }

    row = {"method": "equal", "float64": part(3.0), "float32": part(None)}
    line = mtl_toy.table([row]).splitlines()[1]
    assert line.split()[:5] == ["equal", "4", "5", "4", "5"]
    assert line.endswith("x 0.1 (9, -1): (1.0, 2.0)")
