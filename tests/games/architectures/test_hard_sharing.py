"""One trunk: what a plain network has always been to `multitask`."""

import architectures as tiny
import jax
import numpy as np
import optax

from gan_mtl import table
from gan_mtl.games import architectures as arch
from gan_mtl.games import multitask
from gan_mtl.mtl import pcgrad
from gan_mtl.types import Rows, starting
from gan_mtl.update import alternating

KEY = jax.random.key(1)


def test_all_tasks_get_the_features_of_one_trunk():
    plan = tiny.ALL["hard_sharing"](tiny.TASKS)
    variables, x = tiny.started(plan)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, tiny.run_layer(variables, "trunk", x), rtol=1e-5)


def game_of(trunk):
    return multitask(trunk, tiny.heads(), optax.sgd(0.1), weighting=pcgrad(), rows=Rows("features"))


def test_a_network_and_its_architecture_are_the_same_game():
    batch, found = tiny.batch(), []
    for trunk in (tiny.layer(5), arch.hard_sharing(tiny.TASKS, tiny.layer(5))):
        game = game_of(trunk)
        assert table.shared_groups(game.turns[0]) == ("trunk",)
        groups = jax.jit(game.init)(KEY, batch)
        outcome = game.turns[0].losses(starting(groups), batch, tiny.context())
        assert outcome.features is not None
        found.append((groups, outcome))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_of_its_features_can_be_taken():
    updater, batch = alternating(game_of(tiny.ALL["hard_sharing"](tiny.TASKS))), tiny.batch()
    state = tiny.filled(jax.eval_shape(updater.init, KEY, batch))
    _, metrics = jax.jit(updater.update)(KEY, state, batch)
    assert all(float(metrics[f"model/weight/{t}"]) >= 1.0 for t in tiny.TASKS)
