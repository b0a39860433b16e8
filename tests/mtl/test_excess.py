"""ExcessMTL: its recursion in NumPy, absent and broken tasks."""

import jax
import jax.numpy as jnp
import numpy as np
from mtl.oracles import streams

from gan_mtl.mtl import excess

KEY = jax.random.key(0)


def test_recursion():
    rows, losses = streams(steps=6)
    aggregator = excess(eta=0.2)
    assert aggregator.scales_private and aggregator.keeps_rows and not aggregator.positive
    with jax.enable_x64(True):
        state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
        step, squares, first, w = jax.jit(aggregator.update), 0.0, None, np.ones(3)
        for g, loss in zip(rows, losses, strict=True):
            direction, weights, state = step(KEY, jnp.asarray(loss), {"w": jnp.asarray(g)}, state)
            squares = squares + g**2
            e = (g**2 / np.sqrt(squares + 1e-7)).sum(axis=1)
            if first is None:
                first = e
            else:
                w = w * np.exp(0.2 * e / first)
                w = w / w.sum() * 3
            np.testing.assert_allclose(weights, w, rtol=1e-9)
            np.testing.assert_allclose(direction["w"], w @ g, rtol=1e-9, atol=1e-12)


def test_a_task_that_stays_bad_gains_weight():
    aggregator = excess(eta=0.1)
    state = aggregator.init(2, {"w": jnp.zeros((2, 4))})
    for t in range(20):
        g = np.stack([np.full(4, 0.5**t), np.ones(4)])
        _, weights, state = aggregator.update(KEY, jnp.ones(2), {"w": jnp.asarray(g)}, state)
    assert weights[1] > weights[0]
    np.testing.assert_allclose(weights.sum(), 2, rtol=1e-5)


def test_absent_from_the_start_and_broken_later():
    """A task's first excess is that of the step at which it is first present."""
    rows, losses = streams(steps=3)
    aggregator = excess()
    state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
    rows[0][1] = 0.0
    rows[2][2] = np.nan
    for g, loss in zip(rows, losses, strict=True):
        direction, weights, state = aggregator.update(
            KEY, jnp.asarray(loss), {"w": jnp.asarray(g)}, state
        )
        assert np.isfinite(state.weights).all() and (np.asarray(state.weights) > 0).all()
    assert np.isnan(weights).tolist() == [False, False, True]
    assert np.isnan(direction["w"]).all() and (np.asarray(state.first) > 0).all()
