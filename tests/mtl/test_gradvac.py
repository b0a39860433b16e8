"""GradVac: its own loop in NumPy, PCGrad while the averages are 0, the averages' state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import check_absent_and_broken, check_hard_cases, jacobians, solve

from gan_mtl.mtl import gradvac, pcgrad


def turned(jacobian, phi, beta, orders):
    """Direction and averages after one step, task by task as in the paper."""
    phi, total = phi.copy(), 0.0
    for i, order in enumerate(orders):
        v = jacobian[i].copy()
        for j in order:
            g = jacobian[j]
            c = v @ g / np.linalg.norm(v) / np.linalg.norm(g)
            p = phi[i, j]
            if c < p:
                num = np.linalg.norm(v) * (p * np.sqrt(1 - c**2) - c * np.sqrt(1 - p**2))
                v = v + num / (np.linalg.norm(g) * np.sqrt(1 - p**2)) * g
            phi[i, j] = (1 - beta) * p + beta * c
        total = total + v
    return total, phi


def test_two_tasks_over_many_steps():
    """With two tasks there is one order only."""
    rows, beta = jacobians(2, n=10, seed=1, spread=2.0), 0.3
    weighting = gradvac(beta)
    with jax.enable_x64(True):
        state, phi = weighting.init(2), np.zeros((2, 2))
        step = jax.jit(weighting.update)
        for j in rows:
            weights, state = step(jax.random.key(0), jnp.ones(2), jnp.asarray(j @ j.T), state)
            expected, phi = turned(j, phi, beta, [[1], [0]])
            np.testing.assert_allclose(np.asarray(weights) @ j, expected, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(state, phi, rtol=1e-9, atol=1e-12)
    assert np.abs(phi).max() > 0.1


def test_cosines_reach_their_targets():
    """A conflicting pair is turned until its cosine is the average."""
    with jax.enable_x64(True):
        j = np.array([[1.0, 0.0], [-0.6, 0.8]])
        phi = np.array([[0.0, 0.5], [0.5, 0.0]])
        weights, _ = gradvac().update(
            jax.random.key(0), jnp.ones(2), jnp.asarray(j @ j.T), jnp.asarray(phi)
        )
        turned_first, _ = turned(j, phi, 0.01, [[1], []])
        v = turned_first - j[1]
        np.testing.assert_allclose(v @ j[1] / np.linalg.norm(v), 0.5, rtol=1e-9)
        both, _ = turned(j, phi, 0.01, [[1], [0]])
        np.testing.assert_allclose(np.asarray(weights) @ j, both, rtol=1e-9)


@pytest.mark.parametrize("num_tasks", [2, 3])
def test_the_first_step_is_pcgrad(num_tasks):
    rows = jacobians(num_tasks, n=8, seed=2)
    np.testing.assert_allclose(solve(gradvac(0.0), rows), solve(pcgrad(), rows), rtol=1e-9)


def test_hard_cases():
    weighting = gradvac()
    check_hard_cases(weighting)
    check_absent_and_broken(weighting, constant=False)
    with pytest.raises(ValueError, match="beta: expected a number in"):
        gradvac(beta=2.0)


def test_a_broken_row_leaves_the_averages_of_the_others():
    weighting, j = gradvac(0.5), jacobians(3, n=1, seed=3)[0]
    j[1, 0] = np.nan
    gramian = jnp.asarray(j @ j.T, jnp.float32)
    _, state = weighting.update(jax.random.key(0), jnp.ones(3), gramian, weighting.init(3))
    assert np.isfinite(state).all() and np.abs(state[0, 2]) > 0
    np.testing.assert_array_equal(state[1], 0)
    np.testing.assert_array_equal(state[:, 1], 0)
