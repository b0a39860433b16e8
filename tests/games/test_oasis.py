"""OASIS's rows, put together by hand from the networks' outputs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from pointwise import pointwise

from gan_mtl import games, losses
from gan_mtl.types import Context, Network, starting

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
GEN, DISC = pointwise(1, squash=True), pointwise(4)
BOTH = games.MapOptimizers(optax.sgd(0.1), optax.sgd(0.1))


def test_rows_are_the_losses_of_the_discriminator_s_outputs():
    game = games.oasis(games.MapPlayers(GEN, DISC), zoo.LATENTS, BOTH, 3, unlabelled=0.5)
    batch = zoo.batch()
    groups = jax.jit(game.init)(KEY, batch)
    images, mask = batch["images"], batch["mask"]
    maps = jax.nn.one_hot(mask.astype(int), 3)
    fakes, _ = GEN.apply(starting(groups).of("gen"), jnp.zeros((8, 4)), maps, context=CONTEXT)
    real, fake = (
        DISC.apply(starting(groups).of("disc"), x, context=CONTEXT)[0] for x in (images, fakes)
    )
    balance = losses.class_balance(mask, 3)
    found = game.turns[0].losses(starting(groups), batch, CONTEXT).losses
    expected = losses.oasis_disc(real, fake, mask, balance)
    np.testing.assert_allclose(found["adversarial"].values, expected, rtol=1e-5)
    sure = jax.nn.softmax(real)[..., :3].sum(-1)
    np.testing.assert_allclose(found["unlabelled"].values, -jnp.log(sure).mean((1, 2)), rtol=1e-4)
    assert float(jnp.abs(found["label_mix"].values).max()) < 1e-10  # pixels see themselves alone
    found = game.turns[1].losses(starting(groups), batch, CONTEXT).losses
    expected = losses.oasis_gen(fake, mask, balance)
    np.testing.assert_allclose(found["adversarial"].values, expected, rtol=1e-5)


def neighbours(out):
    """A judge of every pixel and the one to its left, linear in both."""

    def init(key, images):
        shape = (2 * images.shape[-1], out)
        return {"params": {"w": jax.random.normal(key, shape, images.dtype)}}

    def apply(variables, images, context):
        both = jnp.concatenate([images, jnp.roll(images, 1, axis=2)], axis=-1)
        return both @ variables["params"]["w"], {}

    return Network(init, apply)


def test_label_mix_compares_a_mixed_image_with_mixed_logits():
    """For every example the row is that of one of all the ways in which its classes can fall."""
    disc, batch = neighbours(4), zoo.batch()
    game = games.oasis(games.MapPlayers(GEN, disc), zoo.LATENTS, BOTH, 3)
    groups = jax.jit(game.init)(KEY, batch)
    images, mask = batch["images"], batch["mask"].astype(int)
    maps = jax.nn.one_hot(mask, 3)
    fakes, _ = GEN.apply(starting(groups).of("gen"), jnp.zeros((8, 4)), maps, context=CONTEXT)

    def judged(images):
        return disc.apply(starting(groups).of("disc"), images, context=CONTEXT)[0]

    real, fake, classes = judged(images), judged(fakes), jnp.minimum(mask, 3)
    ways = []
    for coins in itertools.product((False, True), repeat=4):
        mix = jnp.asarray(coins)[classes][..., None]
        wanted = jnp.where(mix, real, fake)
        found = judged(jnp.where(mix, images, fakes))
        ways.append(jnp.square(found - wanted).mean((1, 2, 3)))
    row = game.turns[0].losses(starting(groups), batch, CONTEXT).losses["label_mix"]
    gaps = jnp.abs(row.values[None] - jnp.stack(ways)).min(axis=0)
    assert float(gaps.max()) < 1e-5 and float(row.values.max()) > 1e-2


def test_rows_of_weight_zero_are_not_there():
    game = games.oasis(games.MapPlayers(GEN, DISC), zoo.LATENTS, BOTH, 3, label_mix=0.0)
    assert [list(turn.objectives) for turn in game.turns] == [["adversarial"], ["adversarial"]]


def test_a_discriminator_of_other_classes_is_refused():
    game = games.oasis(games.MapPlayers(GEN, pointwise(3)), zoo.LATENTS, BOTH, 3)
    groups = jax.jit(game.init)(KEY, zoo.batch())
    with pytest.raises(ValueError, match=r"gives \(8, 4, 4, 3\) for 3 classes; OASIS takes"):
        game.turns[0].losses(starting(groups), zoo.batch(), CONTEXT)
