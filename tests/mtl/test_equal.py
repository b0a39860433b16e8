"""Equal weights: ones whatever comes, and steps that a hand-written sum makes too."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.mtl import equal, from_weighting
from gan_mtl.types import Game, Loss, Objective, Outcome, Turn
from gan_mtl.update import alternating

KEY = jax.random.key(0)


@pytest.mark.parametrize("losses", [[0.0, 1e30], [-3.0, np.nan], [np.inf, 2.0]])
def test_weights_are_one_whatever_the_losses(losses):
    weighting = equal()
    state = weighting.init(2)
    for step in range(3):
        key = jax.random.fold_in(KEY, step)
        weights, state = weighting.update(key, jnp.array(losses), None, state)
        np.testing.assert_array_equal(weights, [1.0, 1.0])
    assert state == () and not weighting.needs_gramian and weighting.observe is None


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_weights_have_the_dtype_of_the_losses(dtype):
    weights, _ = equal().update(KEY, jnp.zeros(3, dtype), None, ())
    assert weights.dtype == dtype and weights.shape == (3,)


def test_as_an_aggregator_it_sums_the_rows_and_scales_private_groups():
    rows = {"a": jnp.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])}
    aggregator = from_weighting(equal())
    direction, weights, _ = aggregator.update(KEY, jnp.ones(3), rows, aggregator.init(3))
    np.testing.assert_array_equal(direction["a"], [111.0, 222.0])
    assert weights.shape == (3,) and aggregator.scales_private


@pytest.mark.parametrize("lift", [lambda w: w, from_weighting], ids=["weighting", "aggregator"])
def test_many_steps_equal_gradient_descent_on_the_sum(lift):
    """Two quadratics 0.5 c_i |w - t_i|^2 of one vector, six steps with momentum, in float64."""
    targets = {"left": np.array([1.0, -1.0]), "right": np.array([-2.0, 0.5])}
    scales = {"left": 1.0, "right": 3.0}

    def losses(variables, batch, context):
        w, n = variables.params["w"]["w"], batch["x"].shape[0]
        found = {
            name: Loss(jnp.full(n, 0.5 * scales[name] * ((w - t) ** 2).sum()))
            for name, t in targets.items()
        }
        return Outcome(found, variables)

    rows = {name: Objective({"w": 1.0}) for name in targets}
    sgd = optax.sgd(0.1, momentum=0.5)
    game = Game(
        lambda key, batch: {"w": {"params": {"w": jnp.zeros(2, batch["x"].dtype)}}},
        (Turn("model", losses, rows, sgd, lift(equal())),),
    )
    with jax.enable_x64(True):
        updater, batch = alternating(game), {"x": np.zeros((4, 1))}
        state, update = updater.init(KEY, batch), jax.jit(updater.update)
        w, speed = np.zeros(2), np.zeros(2)
        for _ in range(6):
            state, metrics = update(KEY, state, batch)
            speed = 0.5 * speed + sum(scales[name] * (w - t) for name, t in targets.items())
            w = w - 0.1 * speed
            assert float(metrics["model/weight/left"]) == 1.0
        np.testing.assert_allclose(state.params["w"]["w"], w, rtol=1e-12)
