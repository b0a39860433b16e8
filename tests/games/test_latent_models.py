"""Likelihoods of the images' own range, and a learned sigma that is bounded below."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_mtl import games
from gan_mtl.games.latent_models import LEAST_LOG_SIGMA, Posterior, learned_log_sigma, posterior
from gan_mtl.types import Context, Variables

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
NONE = Variables({}, {})


def test_bernoulli_knows_the_range():
    logits = jnp.array([[2.0, -1.0]])
    for low, high in ((-1.0, 1.0), (0.0, 1.0)):
        law = games.Likelihood(low=low, high=high)
        found = law.nll(NONE, logits, jnp.array([[high, low]]))
        want = -np.log(1 / (1 + np.exp(-2.0))) - np.log(1 / (1 + np.exp(-1.0)))
        np.testing.assert_allclose(found, [want], rtol=1e-5)
        share = (law.mean(logits) - low) / (high - low)
        np.testing.assert_allclose(share, 1 / (1 + np.exp(-np.array([[2.0, -1.0]]))), rtol=1e-5)
    assert not law.signed and law.groups(logits) == {} and law.entries() == {}


def test_bernoulli_forgives_rounding_and_nothing_else():
    """Inside a compiled program 0 may become -3e-8 on its way to [-1, 1] and back."""
    logits = jnp.zeros((4, 1))
    pixels = jnp.array([[-1 - 1e-7], [1 + 1e-6], [-1.01], [1.01]])
    found = games.Likelihood().nll(NONE, logits, pixels)
    np.testing.assert_array_equal(np.isnan(found), [False, False, True, True])


def test_gaussian_and_learned_are_the_same_density():
    mean, x = jnp.array([[0.2, -0.4]]), jnp.array([[0.5, 1.0]])
    want = -stats.norm.logpdf(np.asarray(x), np.asarray(mean), 0.3).sum()
    fixed = games.Likelihood("gaussian", sigma=0.3).nll(NONE, mean, x)
    np.testing.assert_allclose(fixed, [want], rtol=1e-5)
    law = games.Likelihood("learned")
    groups = law.groups(x)
    assert groups["scale"]["params"]["log_sigma"].shape == () and law.entries() == {"scale": 1.0}
    variables = Variables({"scale": {"log_sigma": jnp.log(0.3)}}, {})
    np.testing.assert_allclose(law.nll(variables, mean, x), fixed, rtol=0.02)  # the soft bound
    far = Variables({"scale": {"log_sigma": jnp.float32(-50)}}, {})
    assert float(learned_log_sigma(far)) == LEAST_LOG_SIGMA
    np.testing.assert_array_equal(law.mean(jnp.array([[3.0, -2.0]])), [[1.0, -1.0]])


def test_posteriors_draw_what_they_say():
    found = Posterior(jnp.full((3, 2), 2.0), jnp.full((3, 2), np.log(0.25)))
    z = found.draw(CONTEXT, 4000)
    assert z.shape == (3, 4000, 2)
    np.testing.assert_allclose(z.mean(axis=1), 2.0, atol=0.05)
    np.testing.assert_allclose(z.std(axis=1), 0.5, atol=0.03)
    with pytest.raises(ValueError, match=r"encoder: it gives \(3, 5\); expected \[n, 4\]"):
        posterior(jnp.zeros((3, 5)), 2)
