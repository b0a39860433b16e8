"""Tasks beside a game from label maps: who moves whom, and what may be seen of hidden labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
import zoo_maps
from pointwise import pointwise

from gan_mtl import games, table
from gan_mtl.types import Context, starting

KEY = jax.random.key(4)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
ADAM = optax.adam(1e-2)
HEADS = ("heads/detection", "heads/segmentation")
LABELS = ("labels", "labelled_labels", "mask", "objects", "present")


def batch():
    """The zoo's, with the targets of the labelled images, which alone are for the game below."""
    whole = zoo.batch()
    half = {f"labelled_{name}": whole[name][:4] for name in ("mask", "objects", "present")}
    return {**whole, **half}


@functools.cache
def few():
    """OASIS and tasks on the labelled examples."""
    tasks = tuple(games.labelled(task) for task in zoo_maps.map_tasks(fake_weight=0.1))
    return games.oasis(
        games.MapPlayers(pointwise(1, noise=True, squash=True), pointwise(4), pointwise(3)),
        zoo.LATENTS,
        games.MapOptimizers(ADAM, ADAM, ADAM),
        zoo.CLASSES,
        unlabelled=1.0,
        labelled=True,
        tasks=tasks,
        synthetic=games.Synthetic(compose=games.layouts.rearranged),
    )


@functools.cache
def played():
    """First variables of the zoo's OASIS, and `(batch) ->` its turns' losses, the trunk after."""
    game = zoo.game("from_maps")
    first = starting(jax.jit(game.init)(KEY, zoo.batch()))

    def play(batch):
        found = {turn.name: turn.losses(first, batch, CONTEXT) for turn in game.turns}
        losses = {name: outcome.losses for name, outcome in found.items()}
        return losses, found["tasks"].variables.state["trunk"]

    return first, jax.jit(play)


def test_every_turn_moves_its_own_groups():
    moved = {turn.name: set(table.moved_groups(turn)) for turn in zoo.game("from_maps").turns}
    assert moved == {"disc": {"disc"}, "gen": {"gen"}, "tasks": {"trunk", *HEADS}}


def test_frozen_tasks_judge_and_rest():
    game = zoo.game("translated")
    assert game.frozen == ("trunk", "heads/segmentation")
    moved = {turn.name: set(table.moved_groups(turn)) for turn in game.turns}
    assert moved == {"disc": {"disc"}, "gen": {"gen"}}
    assert set(game.turns[1].objectives) == {"adversarial", "l1", "segmentation"}


def test_hidden_labels_are_not_even_asked_for():
    """With few labels the game plays on batches that hold no others."""
    game, seen = few(), {k: x for k, x in batch().items() if k not in LABELS}
    variables = starting(jax.eval_shape(game.init, KEY, seen))
    for turn in game.turns:
        found = jax.eval_shape(functools.partial(turn.losses, context=CONTEXT), variables, seen)
        assert set(found.losses) == set(turn.objectives)


def test_maps_of_255_count_nothing_in_any_row():
    whole, half = zoo.batch(), jnp.arange(8) < 4
    hidden = {**whole, "mask": jnp.where(half[:, None, None], whole["mask"], 255)}
    found, _ = played()[1](hidden)
    for turn in zoo.game("from_maps").turns:
        for name, loss in found[turn.name].items():
            if name in ("unlabelled", "detection") and turn.name != "gen":
                continue  # of images as they are, and of boxes, which are known
            assert not np.asarray(loss.mask[4:]).any(), f"{turn.name}/{name}"
            assert np.asarray(loss.mask[:4]).any(), f"{turn.name}/{name}"
        assert set(found[turn.name]) == set(turn.objectives)


def test_running_averages_are_those_of_real_images():
    """The tasks are asked about these; synthetic ones would make a mixture that fits neither."""
    first, play = played()
    _, after = play(zoo.batch())
    trunk = pointwise(3, norm=True)
    _, expected = trunk.apply(first.of("trunk"), zoo.batch()["images"], context=CONTEXT)
    assert jax.tree.leaves(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after, expected)


def test_the_generator_is_taught_what_the_heads_say_of_its_images():
    game, whole = zoo.game("translated"), zoo.batch()
    groups = jax.jit(game.init)(KEY, whole)
    variables = starting(groups)
    images = game.sample(variables, 8, whole["mask"], CONTEXT)
    logits = game.predict["segmentation"](variables, images, CONTEXT)
    expected = zoo_maps.map_tasks()[1].loss(logits, whole["mask"])
    found = game.turns[1].losses(variables, whole, CONTEXT).losses["segmentation"]
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    np.testing.assert_allclose(found.mask, expected.mask, rtol=1e-6)


def test_synthetic_pairs_start_late_and_are_of_the_maps():
    rows = zoo.game("from_maps").turns[2].objectives
    weight = rows["segmentation_fake"].entries["trunk"]
    assert [float(weight.value(jnp.array(step))) for step in (0, 1, 2)] == [0.0, 0.5, 0.5]
    assert "0.5 from step 1" in table.render(zoo.game("from_maps"))
    game = few()
    variables = starting(jax.eval_shape(game.init, KEY, batch()))
    tasks = functools.partial(game.turns[2].losses, context=CONTEXT)
    found = jax.eval_shape(tasks, variables, batch()).losses
    assert set(found) == {f"{t}{s}" for t in ("detection", "segmentation") for s in ("", "_fake")}
    assert {loss.values.shape for loss in found.values()} == {(4,)}


def test_it_is_asked_for_label_maps_of_any_size():
    game, whole = few(), batch()
    variables = starting(jax.jit(game.init)(KEY, whole))
    kept = game.sample(variables, 6, None, CONTEXT)
    asked = game.sample(variables, 6, whole["labelled_mask"][jnp.arange(6) % 4], CONTEXT)
    np.testing.assert_array_equal(kept, asked)
    oblong = game.sample(variables, 2, jnp.zeros((2, 6, 3), jnp.int32), CONTEXT)
    assert oblong.shape == (2, 6, 3, 1)
    with pytest.raises(ValueError, match=r"labels of shape \(6,\) for 6 images: this generator"):
        game.sample(variables, 6, jnp.zeros(6, jnp.int32), CONTEXT)


def test_errors_name_value_and_remedy():
    players = games.MapPlayers(pointwise(1), pointwise(0), pointwise(3))
    two, three = games.MapOptimizers(ADAM, ADAM), games.MapOptimizers(ADAM, ADAM, ADAM)
    segmentation = zoo_maps.map_tasks(fake_weight=0.1)[1]
    build = functools.partial(games.pix2pix, players, three, zoo.CLASSES)
    with pytest.raises(ValueError, match=r"tasks=\[\] with players.trunk"):
        build()
    with pytest.raises(ValueError, match=r"num_classes=255: a label map has 1 .. 254 classes"):
        games.pix2pix(players, three, 255, tasks=(segmentation,))
    with pytest.raises(ValueError, match=r"'segmentation' with source='images' .* labelled\(task"):
        build(tasks=(segmentation,), labelled=True)
    with pytest.raises(
        ValueError, match=r"Without optimizers.tasks the tasks' networks are frozen"
    ):
        games.pix2pix(players, two, zoo.CLASSES, tasks=(segmentation,), synthetic=games.Synthetic())
    with pytest.raises(ValueError, match=r"needs the batch entry 'mask'; the batch has"):
        build(tasks=zoo_maps.map_tasks()[:1]).init(
            KEY, {k: x for k, x in batch().items() if k != "mask"}
        )
    wide = players._replace(gen=pointwise(2))
    with pytest.raises(ValueError, match=r"makes images of shape \(4, 4, 2\), the data has"):
        games.pix2pix(wide, three, zoo.CLASSES, tasks=(segmentation,)).init(KEY, batch())
