"""The importance-weighted bound of a linear model against its exact likelihood."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from experiments import vae_versus_gan
from gan_mtl import games, nets
from gan_mtl.data import Dataset, Split
from gan_mtl.run.bounds import bound_scores
from gan_mtl.run.config import Spec
from gan_mtl.run.evaluate import Evaluation, evaluator
from gan_mtl.types import Game, starting

SIGMA, LATENT = 0.4, 2
SPEC = Spec((2, 2, 1), 0, (-1.0, 1.0), 1)
RNG = np.random.default_rng(0)
W, B = 0.4 * RNG.normal(size=(LATENT, 4)), np.array([0.1, -0.2, 0.0, 0.3])
SPLIT = Split(RNG.integers(60, 200, (12, 2, 2, 1), np.uint8), np.full(12, -1, np.int32))


def exact():
    """-log N(x; b, W'W + sigma^2 I) of every image."""
    x = SPLIT.images.reshape(12, 4) / 255 * 2 - 1
    return -stats.multivariate_normal.logpdf(x, B, W.T @ W + SIGMA**2 * np.eye(4))


def evaluation(shift=0.0, widened=0.0):
    """x = b + W'z + noise, with its posterior as the encoder, or another normal near it."""
    game = games.vae(
        nets.from_linen(nets.Head(2 * LATENT)),
        nets.from_linen(nets.MLPGenerator((), (2, 2, 1), output="none")),
        LATENT,
        optax.sgd(0.1),
        likelihood=games.Likelihood("gaussian", sigma=SIGMA),
        asked=100,
    )
    groups = jax.jit(game.init)(jax.random.key(0), {"images": jnp.zeros((2, 2, 2, 1))})
    precision = np.eye(LATENT) + W @ W.T / SIGMA**2
    means = np.linalg.solve(precision, W) / SIGMA**2
    kernel = np.concatenate([means.T, np.zeros((4, LATENT))], axis=1)
    law = np.log(1 / np.diag(precision)) + widened
    bias = np.concatenate([shift - B @ means.T, law])
    groups["encoder"]["params"] = {"out": {"kernel": kernel, "bias": bias}}
    groups["decoder"]["params"] = {"out": {"kernel": W, "bias": B}}
    groups = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), groups)
    predict, sample = evaluator(game, SPEC)(starting(groups), 0)
    data = Dataset("linear", SPLIT, SPLIT, 0, (), {})
    return Evaluation(game, predict, sample, data, SPEC, None, 0, lambda: predict)


def test_it_is_the_exact_likelihood_of_a_linear_model():
    """Also under a poor encoder, for which the ELBO is off by nats."""
    found = bound_scores(evaluation(shift=0.3, widened=1.0))
    assert found["iwae_codes"] == 5000 and found["iwae_images"] == 12
    np.testing.assert_allclose(found["iwae_nll"], exact().mean(), atol=0.02)
    np.testing.assert_allclose(found["iwae_error"], exact().std() / 12**0.5, rtol=0.05)
    assert found["negative_elbo"] > exact().mean() + 0.5
    assert 100 < found["effective_codes"] < 5000


def test_some_images_and_few_codes():
    e = evaluation()
    found = bound_scores(e, codes=101, images=3)
    assert (found["iwae_codes"], found["iwae_images"]) == (200, 3), "a multiple of what is asked"
    weights = [e.predict("log_weights", SPLIT.images[:3], draw) for draw in (0, 1, 1)]
    assert np.abs(weights[0] - weights[1]).min() > 0, "every call draws its own codes"
    np.testing.assert_array_equal(weights[1], weights[2])
    wanted = np.log(np.exp(np.concatenate(weights[:2], axis=1, dtype=np.float64)).mean(axis=1))
    np.testing.assert_allclose(found["iwae_nll"], -wanted.mean(), rtol=1e-6)


def test_errors_name_value_and_remedy():
    e = evaluation()
    with pytest.raises(ValueError, match="codes=0, images=None: give 1 or more"):
        bound_scores(e, codes=0)
    other = e._replace(game=Game(e.game.init, e.game.turns, predict={"class": np.sum}))
    with pytest.raises(ValueError, match=r"predicts \['class'\] and no 'log_weights': take games"):
        bound_scores(other)


def test_a_likelihood_that_is_no_density_has_no_bound_and_an_empty_row():
    """Its sigma is the image's own; the table of nats stands all the same."""
    arm = vae_versus_gan.Arm(vae_versus_gan.build, vae_versus_gan.Settings(likelihood="optimal"))
    e = evaluation()._replace(game=arm.build(arm.settings, SPEC))
    with pytest.raises(ValueError, match="another likelihood than 'optimal'"):
        bound_scores(e)
    scores = vae_versus_gan.evaluate_nats(e)
    config = dataclasses.replace(vae_versus_gan.CONFIG, arms={"free": arm})
    cell = {"arm": "free", "labels": None, "seed": 0, "scores": scores}
    row = vae_versus_gan.tabulate_nats(config, [cell]).splitlines()[-1]
    assert row.count(" - ") == 7
