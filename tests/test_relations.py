"""Gramians and lookahead losses of a game, against gradients by hand."""

import jax
import numpy as np
import pytest
import test_rows as toy
import toys

from gan_mtl import metrics, relations
from gan_mtl.update import alternating

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def start():
    with jax.enable_x64(True):
        return jax.jit(alternating(toy.game()).init)(KEY, toy.batch_of(0))


def test_gramians_are_inner_products_of_scaled_gradients(start):
    batch = toy.batch_of(1)
    with jax.enable_x64(True):
        found = jax.jit(relations.gramians(toy.game()))(KEY, start, batch)["model"]
    by_hand = toy.gradients_of(jax.device_get(start.params), batch, "u")
    rows = np.stack([s * by_hand[n][1].ravel() for n, s in zip("abc", (1, -0.5, 2), strict=True)])
    np.testing.assert_allclose(found, rows @ rows.T, rtol=1e-10)


def test_lookahead_losses_are_those_after_a_step_on_one_task(start):
    batch, rate = toy.batch_of(1), 0.05
    with jax.enable_x64(True):
        look = jax.jit(relations.lookahead_losses(toy.game(), "model", rate))
        before, after = look(KEY, start, batch)
        affinities = jax.device_get(metrics.affinities(before, after))
    params = jax.device_get(start.params)
    by_hand = toy.gradients_of(params, batch, "u")

    def losses(u):
        z = np.tanh(batch["x"] @ u)
        errors = {
            n: (z @ params[f"head/{n}"]["v"] - batch["y"][:, i]) ** 2 for i, n in enumerate("abc")
        }
        known = batch["known"]
        means = [errors["a"].mean(), errors["b"].mean(), (errors["c"] * known).sum() / known.sum()]
        return np.array(means)

    u = params["trunk"]["u"]
    np.testing.assert_allclose(before, losses(u), rtol=1e-10)
    for i, (name, size) in enumerate(zip("abc", (1, -0.5, 2), strict=True)):
        np.testing.assert_allclose(after[i], losses(u - rate * size * by_hand[name][1]), rtol=1e-10)
    assert affinities[0, 0] > 0 > affinities[1, 1]  # the second is ascended


def test_every_turn_with_a_shared_group_is_looked_at():
    found = relations.related(toys.game())
    assert found["disc"] == ("adversarial", "class")
    assert "gen" not in found or len(found["gen"]) > 1
    lonely = toy.game()
    rows = {"a": lonely.turns[0].objectives["a"]}
    assert (
        relations.related(lonely._replace(turns=(lonely.turns[0]._replace(objectives=rows),))) == {}
    )
