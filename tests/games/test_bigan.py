"""Pairs by hand, swapped labels, and an encoder that inverts the generator at the optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
import zoo_codes
from linear import linear

from gan_mtl import games, losses
from gan_mtl.types import Context, starting

KEY = jax.random.key(4)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
SGD = games.Optimizers(optax.sgd(0.1), optax.sgd(0.1))


def built(adversarial=losses.non_saturating, seen=None, **options):
    players = games.BiganPlayers(linear(4), linear(16, shape=(4, 4, 1)), linear(None, seen=seen))
    game = games.bigan(players, zoo.LATENTS, SGD, adversarial=adversarial, **options)
    return game, starting(jax.jit(game.init)(KEY, zoo.batch()))


def test_the_discriminator_sees_an_image_beside_its_own_code():
    seen = []
    game, variables = built(seen=seen)
    batch = zoo.batch()
    seen.clear()
    outcome = game.turns[0].losses(variables, batch, CONTEXT)
    (images, codes), (fakes, z) = seen
    np.testing.assert_array_equal(images, batch["images"])
    np.testing.assert_allclose(
        codes, game.predict["latents"](variables, batch["images"], CONTEXT), rtol=1e-6
    )
    np.testing.assert_allclose(fakes, game.generate(variables, z, None, CONTEXT), rtol=1e-5)
    np.testing.assert_array_equal(z, game.latents(8, CONTEXT))
    real, fake = (np.asarray(outcome.metrics[f"{n}_logits"].values) for n in ("real", "fake"))
    want = np.logaddexp(0, -real) + np.logaddexp(0, fake)
    np.testing.assert_allclose(outcome.losses["adversarial"].values, want, rtol=1e-4)
    outcome = game.turns[1].losses(variables, batch, CONTEXT)
    want = np.logaddexp(0, real) + np.logaddexp(0, -fake)
    np.testing.assert_allclose(outcome.losses["adversarial"].values, want, rtol=1e-4)


def test_under_minimax_it_is_one_value_with_two_signs():
    game, variables = built(losses.minimax)
    down, up = (
        turn.losses(variables, zoo.batch(), CONTEXT).losses["adversarial"].values
        for turn in game.turns
    )
    np.testing.assert_allclose(down, -up, rtol=1e-5)


def test_the_same_law_of_pairs_leaves_the_players_still():
    """x = G(z) and E = the inverse of G: to a linear discriminator both pairs are alike."""
    game, variables = built()
    w = np.eye(16)[:, :4].astype(np.float32)
    params = {**variables.params, "encoder": {"w": jnp.asarray(w)}, "gen": {"w": jnp.asarray(w.T)}}
    inverse = variables._replace(params=params)
    z = game.latents(8, CONTEXT)
    batch = {"images": game.generate(inverse, z, None, CONTEXT)}
    outcome = game.turns[0].losses(inverse, batch, CONTEXT)
    real, fake = (outcome.metrics[f"{n}_logits"].values for n in ("real", "fake"))
    np.testing.assert_allclose(real, fake, atol=1e-5)
    again = game.predict["reconstruction"](inverse, batch["images"], CONTEXT)
    np.testing.assert_allclose(again, batch["images"], atol=1e-5)


def test_ali_draws_its_codes_and_predicts_their_means():
    game = zoo.GAMES["ali"]()
    batch = zoo.batch()
    variables = starting(jax.jit(game.init)(KEY, batch))
    first, second = (
        game.turns[0].losses(variables, batch, Context(jax.random.key(i), 0)).metrics["real_logits"]
        for i in range(2)
    )
    assert jnp.abs(first.values - second.values).max() > 1e-4
    outputs, _ = zoo_codes.encoder().apply(
        variables.of("encoder"), batch["images"], context=CONTEXT
    )
    mean = game.predict["latents"](variables, batch["images"], CONTEXT)
    np.testing.assert_allclose(mean, outputs[:, :4], rtol=1e-6)


def test_errors_name_value_and_remedy():
    for pair in (losses.least_squares, losses.relativistic_average()):
        with pytest.raises(ValueError, match="bigan: the encoder plays the adversarial loss on"):
            built(pair)
    with pytest.raises(ValueError, match=r"players.encoder: it gives \(8, 4\); expected \[n, 8\]"):
        built(stochastic=True)
    players = games.BiganPlayers(linear(5), linear(16, shape=(4, 4, 1)), linear(None))
    with pytest.raises(ValueError, match=r"it gives \(8, 5\); expected \[n, 4\], the codes"):
        games.bigan(players, zoo.LATENTS, SGD).init(KEY, zoo.batch())
