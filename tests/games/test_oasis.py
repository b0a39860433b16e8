"""OASIS's rows, put together by hand from the networks' outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from pointwise import pointwise

from gan_mtl import games, losses
from gan_mtl.types import Context, starting

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


def test_rows_of_weight_zero_are_not_there():
    game = games.oasis(games.MapPlayers(GEN, DISC), zoo.LATENTS, BOTH, 3, label_mix=0.0)
    assert [list(turn.objectives) for turn in game.turns] == [["adversarial"], ["adversarial"]]


def test_a_discriminator_of_other_classes_is_refused():
    game = games.oasis(games.MapPlayers(GEN, pointwise(3)), zoo.LATENTS, BOTH, 3)
    groups = jax.jit(game.init)(KEY, zoo.batch())
    with pytest.raises(ValueError, match=r"gives \(8, 4, 4, 3\) for 3 classes; OASIS takes"):
        game.turns[0].losses(starting(groups), zoo.batch(), CONTEXT)
