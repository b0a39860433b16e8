"""DB-MTL: its recursion in NumPy, equal lengths, absent and broken tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import streams

from gan_mtl.mtl import dbmtl

KEY = jax.random.key(0)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_recursion(sigma):
    rows, losses = streams(steps=5)
    aggregator = dbmtl(0.8, sigma)
    assert aggregator.positive and aggregator.scales_private and aggregator.keeps_rows
    with jax.enable_x64(True):
        state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
        step, mean = jax.jit(aggregator.update), 0.0
        for t, (g, loss) in enumerate(zip(rows, losses, strict=True), start=1):
            direction, weights, state = step(KEY, jnp.asarray(loss), {"w": jnp.asarray(g)}, state)
            logs = g / (loss + 1e-8)[:, None]
            mean = logs + 0.8 / t**sigma * (mean - logs)
            lengths = np.linalg.norm(mean, axis=1)
            expected = (lengths.max() / lengths) @ mean
            np.testing.assert_allclose(direction["w"], expected, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(weights, 1 / (loss + 1e-8), rtol=1e-9)


def test_without_an_average_all_tasks_are_as_long_as_the_longest():
    rows, losses = np.diag([1.0, 10.0, 1e-3]), np.array([1.0, 2.0, 4.0])
    aggregator = dbmtl(beta=0.0)
    state = aggregator.init(3, {"w": jnp.zeros((3, 3))})
    direction, _, _ = aggregator.update(KEY, jnp.asarray(losses), {"w": jnp.asarray(rows)}, state)
    np.testing.assert_allclose(direction["w"], [5, 5, 5], rtol=1e-5)


def test_an_absent_task_keeps_its_average_and_a_broken_one_is_named():
    rows, losses = streams(steps=2)
    aggregator = dbmtl()
    state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
    for value in (0.0, np.nan):
        g = rows[1].copy()
        g[1] = value
        direction, weights, after = aggregator.update(
            KEY, jnp.asarray(losses[1]), {"w": jnp.asarray(g)}, state
        )
        np.testing.assert_array_equal(after.mean["w"][1], 0)
        assert np.isfinite(after.mean["w"]).all()
        assert np.isnan(weights).tolist() == [False, bool(np.isnan(value)), False]
        assert np.isnan(direction["w"]).all() == np.isnan(value)
    with pytest.raises(ValueError, match="beta: expected a number in"):
        dbmtl(beta=2)
