"""MoCo: its recursion in NumPy, absent and broken tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import streams
from scipy.special import softmax

from gan_mtl.mtl import moco

KEY = jax.random.key(0)


@pytest.mark.parametrize("normalise", [True, False])
def test_recursion(normalise):
    rows, losses = streams(steps=5)
    aggregator = moco(gamma=0.3, rho=0.1, normalise=normalise)
    assert aggregator.positive == normalise and aggregator.keeps_rows
    with jax.enable_x64(True):
        state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
        step = jax.jit(aggregator.update)
        y, lam = np.zeros(rows[0].shape), np.full(3, 1 / 3)
        for t, (g, loss) in enumerate(zip(rows, losses, strict=True), start=1):
            direction, weights, state = step(KEY, jnp.asarray(loss), {"w": jnp.asarray(g)}, state)
            lengths = np.linalg.norm(g, axis=1)[:, None]
            h = g / lengths * loss[:, None] if normalise else g
            y = y - 0.5 / t**0.5 * (y - h)
            lam = softmax(lam - 0.3 / t**0.5 * (y @ y.T + 0.1 * np.eye(3)) @ lam)
            np.testing.assert_allclose(weights, lam, rtol=1e-9)
            np.testing.assert_allclose(direction["w"], lam @ y, rtol=1e-9, atol=1e-12)


def test_an_absent_task_keeps_its_average_and_a_broken_one_is_named():
    rows, losses = streams(steps=2)
    aggregator = moco()
    state = aggregator.init(3, {"w": jnp.zeros_like(rows[0])})
    _, _, state = aggregator.update(KEY, jnp.asarray(losses[0]), {"w": jnp.asarray(rows[0])}, state)
    for value in (0.0, np.nan):
        g = rows[1].copy()
        g[1] = value
        direction, weights, after = aggregator.update(
            KEY, jnp.asarray(losses[1]), {"w": jnp.asarray(g)}, state
        )
        np.testing.assert_array_equal(after.y["w"][1], state.y["w"][1])
        assert np.isfinite(after.y["w"]).all() and np.isfinite(after.weights).all()
        assert np.isnan(weights).tolist() == [False, bool(np.isnan(value)), False]
        assert np.isnan(direction["w"]).all() == np.isnan(value)
