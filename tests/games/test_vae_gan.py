"""Larsen et al.'s algorithm 1: which error reaches which network, and the rows by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
import zoo_codes
from linear import linear

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
    assert game.predict["features"](variables, batch["images"], still).shape == (8, 6)
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


def test_features_are_compared_by_a_unit_normal_around_those_of_the_reconstruction():
    """Linear networks and the drawn code by hand: |f(x) - f(x')|^2 / 2 + 6 log(2 pi) / 2."""
    networks = (linear(4), linear(4, shape=(2, 2, 1)), linear(6), linear(None))
    game = games.vae_gan(games.VaeGanPlayers(*networks), 2, zoo.adam())
    batch = {"images": jax.random.normal(jax.random.key(7), (5, 2, 2, 1))}
    groups = jax.jit(game.init)(KEY, batch)
    played = jax.jit(lambda groups: game.turns[1].losses(starting(groups), batch, CONTEXT).losses)
    found = played(groups)["features"].values
    w = {name: np.asarray(group["params"]["w"], float) for name, group in groups.items()}
    x = np.asarray(batch["images"], float).reshape(5, 4)
    keys = [jax.random.fold_in(CONTEXT.fold("codes").key, i) for i in range(5)]
    noise = np.stack([jax.random.normal(key, (1, 2))[0] for key in keys])
    mean, log_variance = np.split(x @ w["encoder"], 2, axis=1)
    again = (mean + np.exp(log_variance / 2) * noise) @ w["decoder"]
    squares = np.square((x - again) @ w["trunk"]).sum(axis=1)
    np.testing.assert_allclose(found, squares / 2 + 3 * np.log(2 * np.pi), rtol=1e-5)
    assert squares.min() > 0.1


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
