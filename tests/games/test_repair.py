"""Rows of the repairer by hand, a hole that is joined, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
import zoo_repair

from gan_mtl import games, losses, nets
from gan_mtl.games import corruptions
from gan_mtl.games.restoring import damage
from gan_mtl.types import Context, starting

KEY = jax.random.key(3)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32), train=False)
IMAGES = jax.random.uniform(jax.random.key(4), (8, 4, 4, 1))
BATCH = {"images": IMAGES, "labels": zoo.batch()["labels"]}
TESTS = {"hole": corruptions.centre_hole, "noise": corruptions.gaussian_noise}
OPTIMIZERS = games.Optimizers(gen=optax.sgd(0.1), disc=optax.sgd(0.1))
linen = nets.from_linen


@functools.cache
def mended():
    game = zoo_repair.mended(tests=TESTS)
    return game, starting(jax.jit(game.init)(KEY, BATCH))


@functools.cache
def outcome(turn):
    game, variables = mended()
    return jax.jit(lambda v: game.turns[turn].losses(v, BATCH, CONTEXT))(variables)


def test_the_table_is_that_of_its_rows():
    disc, gen = mended()[0].turns
    assert {n: o.entries for n, o in disc.objectives.items()} == {
        "adversarial": {"trunk": 1.0, "disc": 1.0},
        "class": {"trunk": 1.0, "class": 1.0},
    }
    assert {n: o.entries for n, o in gen.objectives.items()} == {
        "reconstruction": {"gen": 1.0},
        "adversarial": {"gen": 0.1},
        "class": {"gen": 0.2},
    }
    alone = games.repair(
        games.RepairPlayers(linen(nets.DenseRepairer((3,)))), OPTIMIZERS, zoo_repair.DAMAGE
    )
    assert [turn.name for turn in alone.turns] == ["gen"]
    assert set(alone.turns[0].objectives) == {"reconstruction"}
    assert set(jax.eval_shape(alone.init, KEY, {"images": IMAGES})) == {"gen"}


@jax.jit
def by_hand(variables):
    """Damaged and joined images, and what the judges say of these and of whole ones."""
    damaged = zoo_repair.DAMAGE(IMAGES, CONTEXT.fold("corruption"))

    def asked(entry, network, *inputs):
        return variables.apply(linen(network), entry, *inputs, context=CONTEXT)[0]

    made = asked("gen", nets.DenseRepairer((6,)), *damaged)
    joined = jnp.where(damaged.hole > 0, made, damaged.images)
    hidden = [asked("trunk", nets.MLPTrunk((6,)), x) for x in (IMAGES, joined)]
    real, fake = (asked("disc", nets.Head(), x) for x in hidden)
    classes = [asked("class", nets.Head(zoo.CLASSES), x) for x in hidden]
    entropies = [losses.cross_entropy(x, BATCH["labels"]) for x in classes]
    pair = losses.non_saturating
    return damaged.hole, joined, pair.disc(real, fake), pair.gen(real, fake), entropies


def test_rows_by_hand():
    """Damage by the turn's draws, the joined images, and what the judges say of them."""
    hole, joined, disc, gen, entropies = jax.device_get(by_hand(mended()[1]))
    squares = ((joined - np.asarray(IMAGES)) ** 2 * hole).sum(axis=(1, 2, 3))
    seen, made = (outcome(turn).losses for turn in (0, 1))
    wanted = squares / np.maximum(hole.sum(axis=(1, 2, 3)), 1)
    np.testing.assert_allclose(made["reconstruction"].values, wanted, rtol=1e-5)
    np.testing.assert_allclose(made["adversarial"].values, gen, rtol=1e-4)
    np.testing.assert_allclose(made["class"].values, entropies[1], rtol=1e-4)
    np.testing.assert_allclose(seen["adversarial"].values, disc, rtol=1e-4)
    np.testing.assert_allclose(seen["class"].values, entropies[0], rtol=1e-4)


def test_predictions_belong_together_and_known_pixels_stay():
    game, variables = mended()
    assert {"hole/damaged", "hole/hole", "hole/repaired", "noise/repaired", "class"} <= set(
        game.predict
    )
    names = [f"hole/{what}" for what in ("damaged", "hole", "repaired")]
    run = jax.jit(lambda v: [game.predict[name](v, IMAGES, CONTEXT) for name in names])
    damaged, hole, repaired = map(np.asarray, run(variables))
    for part, same in zip(
        (damaged, hole), damage("hole", TESTS["hole"], IMAGES, CONTEXT), strict=True
    ):
        np.testing.assert_array_equal(part, same)
    np.testing.assert_array_equal(repaired[hole == 0], np.asarray(IMAGES)[hole == 0])
    assert (repaired[hole == 1] != damaged[hole == 1]).all()


def test_errors_name_value_and_remedy():
    gen, trunk = linen(nets.DenseRepairer((3,))), linen(nets.MLPTrunk((3,)))
    for players in (games.RepairPlayers(gen, trunk), games.RepairPlayers(gen, disc=trunk)):
        with pytest.raises(ValueError, match=r"players\.trunk is what disc and classes look"):
            games.repair(players, OPTIMIZERS, zoo_repair.DAMAGE)
    alone = games.RepairPlayers(gen)
    with pytest.raises(ValueError, match="loss='huber' is not 'l2' or 'l1'"):
        games.repair(alone, OPTIMIZERS, zoo_repair.DAMAGE, loss="huber")
    with pytest.raises(ValueError, match="one logit an image, without batch means"):
        average = losses.relativistic_average()
        games.repair(alone, OPTIMIZERS, zoo_repair.DAMAGE, pair=average)
    with pytest.raises(ValueError, match="needs the batch entry 'labels'"):
        jax.eval_shape(zoo_repair.mended().init, KEY, {"images": IMAGES})
