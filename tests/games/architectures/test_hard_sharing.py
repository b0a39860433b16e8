"""One trunk: what a plain network has always been to `multitask`."""

import architectures as tiny
import jax
import numpy as np
import optax

from gan_mtl import table
from gan_mtl.games import architectures as arch
from gan_mtl.games import multitask
from gan_mtl.mtl import mgda
from gan_mtl.types import Rows
from gan_mtl.update import alternating

KEY = jax.random.key(1)


def test_all_tasks_get_the_features_of_one_trunk():
    plan = tiny.ALL["hard_sharing"](tiny.TASKS)
    variables, x = tiny.started(plan)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, tiny.run_layer(variables, "trunk", x), rtol=1e-5)


def test_a_network_and_its_architecture_are_the_same_game_rows_of_features_included():
    batch, found = tiny.batch(), []
    for trunk in (tiny.layer(5), arch.hard_sharing(tiny.TASKS, tiny.layer(5))):
        game = multitask(
            trunk, tiny.heads(), optax.sgd(0.1), weighting=mgda(), rows=Rows("features")
        )
        assert table.shared_groups(game.turns[0]) == ("trunk",)
        updater = alternating(game)
        found.append(jax.jit(updater.update)(KEY, jax.jit(updater.init)(KEY, batch), batch))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(a, b)
