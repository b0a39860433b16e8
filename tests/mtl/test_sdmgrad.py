"""SDMGrad: its loop in NumPy, the exact problem as its limit, broken tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import check_broken_batch, min_norm, onto_simplex, streams

from gan_mtl.mtl import sdmgrad

KEY = jax.random.key(0)


def test_loop():
    rows, _ = streams(steps=6)
    aggregator = sdmgrad(iterations=7)
    assert aggregator.num_batches == 3
    with jax.enable_x64(True):
        state, step, w = aggregator.init(3), jax.jit(aggregator.update), np.full(3, 1 / 3)
        for i in (0, 3):
            three = np.stack(rows[i : i + 3])
            direction, weights, state = step(
                KEY, jnp.ones((3, 3)), {"w": jnp.asarray(three)}, state
            )
            a = three[0] @ three[1].T
            a = a / np.sqrt(np.maximum(np.diag(a), 0)).mean() ** 2
            speed = 0.0
            for _ in range(7):
                speed = 0.5 * speed + a @ (w + 0.3 / 3)
                w = onto_simplex(w - 5 * speed)
            np.testing.assert_allclose(state, w, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(weights, (w + 0.1) / 1.3, rtol=1e-9)
            expected = (w @ three[2] + 0.3 * three[2].mean(axis=0)) / 1.3
            np.testing.assert_allclose(direction["w"], expected, rtol=1e-9, atol=1e-12)


def test_with_one_batch_thrice_and_small_steps_it_solves_the_exact_problem():
    """lambda = 0: MGDA's weights."""
    rows = np.asarray(streams(steps=1)[0][0])
    aggregator = sdmgrad(lam=0.0, lr=0.1, iterations=3000)
    three = {"w": jnp.asarray(np.stack([rows] * 3), jnp.float32)}
    direction, weights, _ = aggregator.update(KEY, jnp.ones((3, 3)), three, aggregator.init(3))
    np.testing.assert_allclose(weights, min_norm(rows), atol=1e-4)
    np.testing.assert_allclose(direction["w"], min_norm(rows) @ rows, atol=1e-4)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_a_broken_row_in_any_batch_is_named(batch):
    check_broken_batch(sdmgrad(), batch)


def test_rows_of_zero_leave_everything_finite():
    aggregator, three = sdmgrad(), {"w": jnp.zeros((3, 3, 4))}
    direction, weights, _ = aggregator.update(KEY, jnp.ones((3, 3)), three, aggregator.init(3))
    np.testing.assert_allclose(weights, 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(direction["w"], 0)
