"""MoDo: its recursion in NumPy, the shortest combination as its limit, broken tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import check_broken_batch, min_norm, onto_simplex, streams

from gan_mtl.mtl import modo

KEY = jax.random.key(0)


def test_recursion():
    rows, _ = streams(steps=9)
    aggregator = modo(gamma=0.2, rho=0.1)
    assert aggregator.num_batches == 3
    with jax.enable_x64(True):
        state, step, w = aggregator.init(3), jax.jit(aggregator.update), np.full(3, 1 / 3)
        for i in (0, 3, 6):
            three = np.stack(rows[i : i + 3])
            direction, weights, state = step(
                KEY, jnp.ones((3, 3)), {"w": jnp.asarray(three)}, state
            )
            w = onto_simplex(w - 0.2 * (three[0] @ (three[1].T @ w) + 0.1 * w))
            np.testing.assert_allclose(weights, w, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(direction["w"], w @ three[2], rtol=1e-9, atol=1e-12)


def test_many_steps_on_one_batch_find_the_shortest_combination():
    rows = np.asarray(streams(steps=1)[0][0])
    aggregator = modo(gamma=0.05, rho=0.0)
    three = {"w": jnp.asarray(np.stack([rows] * 3), jnp.float32)}
    state = aggregator.init(3)
    step = jax.jit(lambda state: aggregator.update(KEY, jnp.ones((3, 3)), three, state)[2])
    for _ in range(1000):
        state = step(state)
    np.testing.assert_allclose(state, min_norm(rows), atol=1e-3)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_a_broken_row_in_any_batch_is_named(batch):
    check_broken_batch(modo(), batch)
