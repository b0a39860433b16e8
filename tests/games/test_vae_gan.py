"""Larsen et al.'s algorithm 1: which error reaches which network, and the rows by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
import zoo_codes

from gan_mtl import games, losses
from gan_mtl.types import Context, starting

KEY = jax.random.key(2)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_the_table_limits_errors_to_the_networks_of_the_paper():
    disc, gen = zoo.GAMES["vae_gan"]().turns
    assert {name: row.entries for name, row in disc.objectives.items()} == {
        "adversarial": {"trunk": 1.0, "disc": 1.0}
    }
    assert {name: row.entries for name, row in gen.objectives.items()} == {
        "kl": {"encoder": 1.0},
        "features": {"encoder": 1.0, "decoder": 0.1},
        "adversarial": {"decoder": 1.0},
    }


def test_rows_by_hand():
    game = zoo.GAMES["vae_gan"]()
    batch = zoo.batch()
    variables = starting(jax.jit(game.init)(KEY, batch))
    still = CONTEXT._replace(train=False)  # no batch moments: every pass stands alone
    mean = game.predict["latents"](variables, batch["images"], still)
    found = game.turns[1].losses(variables, batch, still)
    outputs, _ = zoo_codes.encoder().apply(variables.of("encoder"), batch["images"], context=still)
    np.testing.assert_allclose(outputs[:, :4], mean, rtol=1e-6)
    kl = losses.kl_to_standard_normal(mean, outputs[:, 4:])
    np.testing.assert_allclose(found.losses["kl"].values, kl, rtol=1e-5)
    features = np.asarray(game.predict["features"](variables, batch["images"], still))
    assert features.shape == (8, 6)
    assert (np.asarray(found.losses["features"].values) >= 3 * np.log(2 * np.pi) - 1e-4).all()
    judged = game.turns[0].losses(variables, batch, still)
    real, again, fake = (
        np.asarray(judged.metrics[f"{name}_logits"].values, np.float64)
        for name in ("real", "again", "fake")
    )
    np.testing.assert_allclose(
        real, game.predict["disc"](variables, batch["images"], still), rtol=1e-5
    )
    want = np.logaddexp(0, -real) + (np.logaddexp(0, again) + np.logaddexp(0, fake)) / 2
    np.testing.assert_allclose(judged.losses["adversarial"].values, want, rtol=1e-5)
    want = (np.logaddexp(0, -again) + np.logaddexp(0, -fake)) / 2
    np.testing.assert_allclose(found.losses["adversarial"].values, want, rtol=1e-5)


def test_a_perfect_reconstruction_has_no_features_left():
    """Only the constant of the density."""
    game = zoo.GAMES["vae_gan"]()
    batch = zoo.batch()
    variables = starting(jax.jit(game.init)(KEY, batch))
    trunk = jax.tree.map(jnp.zeros_like, variables.params["trunk"])
    blind = variables._replace(params={**variables.params, "trunk": trunk})
    found = game.turns[1].losses(blind, batch, CONTEXT).losses["features"].values
    np.testing.assert_allclose(found, 3 * np.log(2 * np.pi), rtol=1e-6)


def test_errors_name_value_and_remedy():
    players = games.VaeGanPlayers(*[zoo_codes.encoder()] * 4)
    with pytest.raises(ValueError, match="vae_gan: the pair must be a function of one logit"):
        games.vae_gan(players, 4, zoo.adam(), adversarial=losses.relativistic_average())
    with pytest.raises(ValueError, match="vae_gan: latent=0"):
        games.vae_gan(players, 0, zoo.adam())
    with pytest.raises(ValueError, match=r"players.encoder: it gives \(8, 8\); expected \[n, 10\]"):
        games.vae_gan(players, 5, zoo.adam()).init(KEY, zoo.batch())
