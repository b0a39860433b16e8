"""Task heads on a trunk, the rotation task, and turns that move at once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo

from gan_mtl.games import multitask, simultaneous
from gan_mtl.games.tasks import Task, judge, rotate, shift
from gan_mtl.types import Context, starting
from gan_mtl.update import alternating

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))


def test_rotation_turns_every_image_as_its_target_says():
    images = jax.random.normal(KEY, (12, 5, 5, 2))
    turned, targets = rotate(images, CONTEXT)
    assert set(np.asarray(targets)) <= {0, 1, 2, 3} and len(set(np.asarray(targets))) > 1
    for image, k, result in zip(images, targets, turned, strict=True):
        np.testing.assert_array_equal(np.rot90(image, int(k)), result)
    with pytest.raises(ValueError, match=r"square.*\(12, 5, 4, 1\)"):
        rotate(jnp.zeros((12, 5, 4, 1)), CONTEXT)


def test_shift_moves_every_image_by_its_own_draw():
    images = jax.random.normal(KEY, (20, 4, 4, 1))
    moved = np.asarray(shift(images, CONTEXT, fill=0.0))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    found = set()
    for image, big in zip(moved, padded, strict=True):
        places = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.array_equal(image, big[i : i + 4, j : j + 4])
        ]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) > 3


def test_an_augmented_task_does_not_use_the_plain_features():
    task = zoo.class_head(labelled=True)._replace(augment=lambda x, context: 0.0 * x)
    trunk = zoo.linen(zoo.nets.MLPTrunk((6,)))
    game = multitask(trunk, (task,), optax.sgd(0.1))
    batch = zoo.batch()
    found = game.turns[0].losses(starting(game.init(KEY, batch)), batch, CONTEXT)
    values = np.asarray(found.losses["class"].values)
    labels = np.asarray(batch["labelled_labels"])
    for label in set(labels):  # all images are alike, so the loss depends on the label alone
        assert np.ptp(values[labels == label]) < 1e-6


def test_accuracy_counts_visible_labels_only():
    task = zoo.class_head()
    logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    played = judge(task, logits, jnp.array([0, -1, 1]))
    np.testing.assert_array_equal(played.loss.mask, [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(played.accuracy.values * played.accuracy.mask, [1.0, 0.0, 0.0])


def test_a_regression_task_has_no_accuracy():
    task = Task("size", zoo.linen(zoo.nets.Head()), lambda y, t: (y - t) ** 2, targets="sizes")
    game = multitask(zoo.linen(zoo.nets.MLPTrunk((6,))), (task,), optax.sgd(0.1))
    batch = {**zoo.batch(), "sizes": jnp.ones((8,))}
    found = game.turns[0].losses(starting(game.init(KEY, batch)), batch, CONTEXT)
    assert found.losses["size"].values.shape == (8,) and not found.metrics


def test_two_tasks_of_one_name_are_refused():
    game = multitask(
        zoo.linen(zoo.nets.MLPTrunk((6,))), (zoo.class_head(), zoo.class_head()), optax.sgd(0.1)
    )
    with pytest.raises(ValueError, match=r"distinct names, got \['class', 'class'\]"):
        game.init(KEY, zoo.batch())


def test_players_that_move_at_once_are_judged_at_the_same_parameters():
    game, batch = zoo.game("unconditional"), zoo.batch()
    sgd = tuple(turn._replace(optimizer=optax.sgd(1.0)) for turn in game.turns)
    together = game._replace(turns=(simultaneous(sgd),), ema={})
    updater = alternating(together)
    state = updater.init(KEY, batch)
    after, metrics = jax.jit(updater.update)(KEY, state, batch)
    inner = Context(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), state.step)
    start = starting({n: {"params": state.params[n], **state.state[n]} for n in state.params})
    before = sgd[0].losses(start, batch, inner)

    def gen_loss(gen):
        variables = before.variables._replace(params={**state.params, "gen": gen})
        return sgd[1].losses(variables, batch, inner).losses["adversarial"].values.mean()

    expected = jax.grad(gen_loss)(state.params["gen"])
    moved = jax.tree.map(lambda a, b: a - b, state.params["gen"], after.params["gen"])
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert "all/gen:adversarial" in metrics


def test_turns_that_cannot_move_at_once_are_refused_by_name():
    turns = zoo.game("wgan_gp").turns
    with pytest.raises(ValueError, match="'disc' repeats"):
        simultaneous(turns)
    turns = zoo.game("shared_embedding").turns
    with pytest.raises(ValueError, match="'shared' is moved by the turns 'disc' and 'gen'"):
        simultaneous(turns)
