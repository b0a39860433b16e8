"""The VAE's rows by hand, probabilistic PCA as its known optimum, what it refuses."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
import zoo_codes
from scipy import stats

from gan_mtl import games, losses, nets
from gan_mtl.games.latent_models import learned_log_sigma
from gan_mtl.types import Context, starting
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(3)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
ADAM = optax.adam(1e-3)
NETWORKS = zoo_codes.encoder(), zoo_codes.decoder()


def built(**options):
    game = games.vae(*NETWORKS, zoo.LATENTS.dim, ADAM, **options)
    return game, starting(jax.jit(game.init)(KEY, zoo.batch()))


def test_the_rows_are_the_two_terms_of_the_bound():
    game, variables = built(beta=0.25)
    batch = zoo.batch()
    outcome = game.turns[0].losses(variables, batch, CONTEXT)
    outputs, _ = zoo_codes.encoder().apply(
        variables.of("encoder"), batch["images"], context=CONTEXT
    )
    mean, log_variance = outputs[:, :4], outputs[:, 4:]
    np.testing.assert_allclose(
        outcome.losses["kl"].values, losses.kl_to_standard_normal(mean, log_variance), rtol=1e-5
    )
    white = (np.asarray(batch["images"]) + 1) / 2
    entropy = -(white * np.log(white) + (1 - white) * np.log(1 - white)).sum(axis=(1, 2, 3))
    assert (outcome.losses["reconstruction"].values > entropy).all(), "cross-entropy in nats"
    assert game.turns[0].objectives["kl"].entries == {"encoder": 0.25}
    total = sum(loss.values for loss in outcome.losses.values())
    np.testing.assert_allclose(outcome.metrics["elbo"].values, -total, rtol=1e-6)
    elbo = game.predict["elbo"](variables, batch["images"], CONTEXT)
    np.testing.assert_allclose(elbo, -total, rtol=1e-5)


def test_codes_belong_to_an_example():
    """A slice of the batch draws the codes that the whole batch draws for it."""
    game, variables = built(samples=3)
    batch = zoo.batch()
    whole = game.turns[0].losses(variables, batch, CONTEXT).losses["reconstruction"].values
    half = {name: values[4:] for name, values in batch.items()}
    later = CONTEXT._replace(offset=4)
    part = game.turns[0].losses(variables, half, later).losses["reconstruction"].values
    np.testing.assert_allclose(part, whole[4:], rtol=1e-5)
    other = game.turns[0].losses(variables, half, CONTEXT).losses["reconstruction"].values
    assert jnp.abs(other - whole[4:]).min() > 1e-4


def test_more_codes_bound_tighter_and_one_is_the_elbo():
    sigma = games.Likelihood("gaussian", sigma=0.5)
    game, variables = built(likelihood=sigma, asked=64)
    images = zoo.batch()["images"]
    asked = jax.jit(lambda key: game.predict["log_weights"](variables, images, Context(key, 0)))
    weights = jnp.concatenate([asked(jax.random.key(i)) for i in range(40)], axis=1)
    assert weights.shape == (8, 2560)
    bounds = [
        losses.importance_bound(weights.reshape(-1, k)).reshape(8, -1).mean(axis=1)
        for k in (1, 8, 64, 2560)
    ]
    assert all((a > b).all() for a, b in itertools.pairwise(bounds))
    elbo = jax.jit(lambda key: game.predict["elbo"](variables, images, Context(key, 0)))
    closed = jnp.stack([elbo(jax.random.key(i)) for i in range(100)])
    error = 4 * (weights.std(axis=1) / 2560**0.5 + closed.std(axis=0) / 10)
    assert (jnp.abs(bounds[0] + closed.mean(axis=0)) < error).all()


@functools.cache
def linear_game():
    """One latent, four pixels, everything linear: probabilistic PCA (Tipping & Bishop 1999)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 1)) @ np.array([[1.5, -1.0, 0.5, 0.2]]) + 0.3 * rng.normal(
        size=(64, 4)
    )
    batch = {"images": jnp.asarray(x.reshape(64, 2, 2, 1) + 0.4, jnp.float32)}
    game = games.vae(
        nets.from_linen(nets.Head(2)),
        nets.from_linen(nets.MLPGenerator((), (2, 2, 1), output="none")),
        1,
        optax.adam(optax.exponential_decay(0.05, 200, 0.5)),
        likelihood=games.Likelihood("learned"),
        samples=16,
    )
    updater = alternating(game)

    def step(i, state):
        return updater.update(jax.random.fold_in(KEY, i), state, batch)[0]

    run = jax.jit(lambda state: jax.lax.fori_loop(0, 700, step, state))
    state = run(jax.jit(updater.init)(KEY, batch))
    return game, variables_of(state), batch["images"], x + 0.4


def test_the_optimum_of_a_linear_vae_is_probabilistic_pca():
    """The best noise is the mean of the eigenvalues left out, and the bound is then exact."""
    game, variables, images, x = linear_game()
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    sigma = float(jnp.exp(learned_log_sigma(variables)))
    np.testing.assert_allclose(sigma**2, values[:-1].mean(), rtol=0.05)
    out = variables.params["decoder"]["out"]
    w, b = np.asarray(out["kernel"], float), np.asarray(out["bias"], float)
    np.testing.assert_allclose(b, x.mean(axis=0), atol=0.05)
    np.testing.assert_allclose((w @ w.T).item(), values[-1] - values[:-1].mean(), rtol=0.05)
    exact = stats.multivariate_normal.logpdf(x, b, w.T @ w + sigma**2 * np.eye(4)).mean()
    elbos = [
        float(game.predict["elbo"](variables, images, Context(jax.random.key(i), 0)).mean())
        for i in range(20)
    ]
    assert exact - 0.1 < np.mean(elbos) < exact + 3 * np.std(elbos) / 20**0.5
    weights = game.predict["log_weights"](variables, images, CONTEXT)
    iwae = -float(losses.importance_bound(weights).mean())
    np.testing.assert_allclose(iwae, exact, atol=0.02)


def test_predictions_and_samples():
    game, variables = built()
    images = zoo.batch()["images"]
    again = game.predict["reconstruction"](variables, images, CONTEXT._replace(train=False))
    assert again.shape == images.shape and float(jnp.abs(again).max()) <= 1
    assert game.predict["latents"](variables, images, CONTEXT).shape == (8, 4)
    z = game.latents(6, CONTEXT)
    np.testing.assert_array_equal(
        game.generate(variables, z, None, CONTEXT), game.sample(variables, 6, None, CONTEXT)
    )


def test_a_sigma_that_the_image_chooses_has_no_weights():
    kinds = ("bernoulli", "gaussian", "learned", "optimal")
    offered = {
        kind: games.vae(*NETWORKS, 4, ADAM, likelihood=games.Likelihood(kind)).predict.keys()
        for kind in kinds
    }
    assert offered["learned"] - offered["optimal"] == {"log_weights"}
    assert offered["bernoulli"] == offered["gaussian"] == offered["learned"]


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match="vae: samples=0: it must be at least 1"):
        built(samples=0)
    with pytest.raises(ValueError, match=r"bound='iwae' with beta=0\.5 and the likelihood 'bern"):
        built(bound="iwae", beta=0.5)
    with pytest.raises(ValueError, match="bound='elob' is not 'elbo' or 'iwae'"):
        built(bound="elob")
    with pytest.raises(ValueError, match="kind='normal' is not 'bernoulli', 'gaussian'"):
        built(likelihood=games.Likelihood("normal"))
    with pytest.raises(ValueError, match="give low below high"):
        built(likelihood=games.Likelihood(low=1.0))
    game = games.vae(zoo_codes.encoder(law=False), zoo_codes.decoder(), 4, ADAM)
    with pytest.raises(ValueError, match=r"encoder: it gives \(8, 4\); expected \[n, 8\]"):
        game.init(KEY, zoo.batch())
    small = zoo.linen(nets.MLPGenerator((), (3, 3, 1)))
    with pytest.raises(ValueError, match=r"decoder: it makes \(3, 3, 1\), the data has \(4, 4, 1"):
        games.vae(zoo_codes.encoder(), small, 4, ADAM).init(KEY, zoo.batch())
