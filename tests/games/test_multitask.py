"""Task heads on a trunk, the rotation task, and turns that move at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo

from gan_mtl.games import Optimizers, Players, gan, multitask, simultaneous
from gan_mtl.games.tasks import Task, judge, rotate, shift
from gan_mtl.losses import binary_cross_entropy, l2
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


def test_binary_targets_are_judged_by_the_sign_of_their_logit():
    task = Task("even", zoo.linen(zoo.nets.Head()), binary_cross_entropy)
    logits = jnp.array([5.0, -5.0, 0.1, 0.2, -3.0])
    played = judge(task, logits, jnp.array([1, 0, 0, 1, -1]))
    np.testing.assert_array_equal(played.accuracy.values[:4], [1.0, 1.0, 0.0, 1.0])
    np.testing.assert_array_equal(played.accuracy.mask, [1.0, 1.0, 1.0, 1.0, 0.0])
    assert played.loss.mask is played.accuracy.mask


def test_several_binary_targets_of_an_example_are_judged_where_visible():
    task = Task("tags", zoo.linen(zoo.nets.Head(3)), binary_cross_entropy)
    logits = jnp.array([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [1.0, -1.0, 1.0]])
    targets = jnp.array([[1, 0, 0], [-1, 0, 1], [-1, -1, -1]])
    played = judge(task, logits, targets)
    np.testing.assert_allclose(played.accuracy.values, [2 / 3, 1 / 2, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(played.loss.mask, [1.0, 1.0, 0.0])


def test_hidden_probabilities_are_masked_and_hidden_measurements_do_not_exist():
    head, logits = zoo.linen(zoo.nets.Head()), jnp.zeros(4)
    targets = jnp.array([1.0, -1.0, 0.25, -1.0])
    for loss in (binary_cross_entropy, functools.partial(binary_cross_entropy)):
        played = judge(Task("soft", head, loss), logits, targets)
        np.testing.assert_array_equal(played.loss.mask, [1.0, 0.0, 1.0, 0.0])
        np.testing.assert_allclose(played.loss.values[::2], np.log(2), rtol=1e-6)
        assert played.accuracy is None
    played = judge(Task("size", head, l2), logits[:, None], targets[:, None])
    assert played.loss.mask is None  # to a distance -1 is a number like any other
    np.testing.assert_allclose(played.loss.values, np.square(targets))


def test_a_label_below_the_hidden_one_is_a_fault_and_not_masked():
    played = judge(zoo.class_head(), jnp.zeros((3, 3)), jnp.array([0, -1, -2]))
    np.testing.assert_array_equal(played.loss.mask, [1.0, 0.0, 1.0])
    assert bool(jnp.isnan(played.loss.values[2]))


def test_logits_of_no_targets_of_the_shape_are_refused_by_name():
    task = Task("map", zoo.linen(zoo.nets.Head(3)), lambda y, t: y.mean(axis=(1, 2)))
    with pytest.raises(ValueError, match=r"'map'.*\(2, 4, 3\).*\(2, 5\).*classifies=False"):
        judge(task, jnp.zeros((2, 4, 3)), jnp.zeros((2, 5), jnp.int32))


def test_a_fake_weight_without_a_generator_is_refused_by_name():
    task = zoo.rotation_head(fake_weight=0.2)
    with pytest.raises(ValueError, match=r"'rotation' has a fake_weight.*no generator"):
        multitask(zoo.linen(zoo.nets.MLPTrunk((6,))), (task,), optax.sgd(0.1))


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


def test_at_once_a_turn_s_optimizer_still_sees_all_groups_of_its_turn_and_no_other():
    """Clipping by the global norm: each player moves as it would alone on the same draws."""
    clipped = optax.chain(optax.clip_by_global_norm(1e-2), optax.sgd(1.0, momentum=0.5))
    linear = Players(
        gen=zoo.linen(zoo.nets.MLPGenerator((), (4, 4, 1))),
        trunk=zoo.linen(zoo.nets.MLPTrunk((6,))),
        disc=zoo.linen(zoo.nets.Head()),
    )
    game, batch = gan(linear, zoo.LATENTS, Optimizers(clipped, clipped)), zoo.batch()
    disc, gen = game.turns
    by_group = gen._replace(optimizer={"gen": clipped})
    for turns in ((disc, gen), (disc, by_group)):
        updater = alternating(game._replace(turns=(simultaneous(turns),)))
        start = updater.init(KEY, batch)
        after, _ = updater.update(KEY, start, batch)
        alone = {
            "trunk": ((disc,), ("gen",)),
            "disc": ((disc,), ("gen",)),
            "gen": ((gen,), ("trunk", "disc")),
        }
        for group, (turn, frozen) in alone.items():
            single = alternating(game._replace(turns=turn, frozen=frozen))
            expected, _ = single.update(KEY, single.init(KEY, batch), batch)
            for a, b in zip(
                jax.tree.leaves(after.params[group]),
                jax.tree.leaves(expected.params[group]),
                strict=True,
            ):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        step = [
            jax.tree.map(jnp.subtract, after.params[g], start.params[g]) for g in ("trunk", "disc")
        ]
        np.testing.assert_allclose(optax.tree.norm(step), 1e-2, rtol=1e-4)


def test_turns_of_one_name_or_without_an_optimizer_cannot_move_at_once():
    disc, gen = zoo.game("unconditional").turns
    with pytest.raises(ValueError, match=r"distinct names, got \['disc', 'disc'\]"):
        simultaneous((disc, gen._replace(name="disc")))
    with pytest.raises(ValueError, match=r"'disc' has no optimizer .* 'trunk'.*\['disc'\]"):
        simultaneous((disc._replace(optimizer={"disc": optax.sgd(0.1)}), gen))


def test_turns_that_cannot_move_at_once_are_refused_by_name():
    turns = zoo.game("wgan_gp").turns
    with pytest.raises(ValueError, match="'disc' repeats"):
        simultaneous(turns)
    turns = zoo.game("shared_embedding").turns
    with pytest.raises(ValueError, match="'shared' is moved by the turns 'disc' and 'gen'"):
        simultaneous(turns)
