"""The VAE's terms against SciPy, integrals and a model whose likelihood is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_mtl.losses import vae

RNG = np.random.default_rng(0)
MEAN, LOG_VARIANCE = RNG.normal(size=(2, 5, 3))


def test_kl_is_the_integral():
    """Trapezoids over each latent, in float64."""
    z = np.linspace(-30, 30, 60001)[:, None, None]
    q = stats.norm(MEAN, np.exp(LOG_VARIANCE / 2))
    inside = q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z))
    want = np.trapezoid(inside, z[:, 0, 0], axis=0).sum(axis=1)
    with jax.enable_x64(True):
        got = vae.kl_to_standard_normal(jnp.asarray(MEAN), jnp.asarray(LOG_VARIANCE))
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_kl_is_0_at_the_prior_only_and_exact_near_it():
    assert vae.kl_to_standard_normal(jnp.zeros((1, 4)), jnp.zeros((1, 4))) == 0
    near = vae.kl_to_standard_normal(jnp.zeros((1, 1)), jnp.full((1, 1), 1e-3))
    np.testing.assert_allclose(near, 0.25e-6, rtol=2e-3)  # v^2 / 4: no cancellation at float32


def test_likelihoods_are_scipy_s():
    x, log_sigma = RNG.normal(size=(5, 3)), -0.7
    with jax.enable_x64(True):
        got = vae.gaussian_nll(jnp.asarray(MEAN), jnp.asarray(x), log_sigma)
        each = vae.normal_nll(*map(jnp.asarray, (x, MEAN, LOG_VARIANCE)))
        binary = vae.bernoulli_nll(jnp.asarray(MEAN), jnp.asarray((x > 0).astype(float)))
    want = -stats.norm.logpdf(x, MEAN, np.exp(log_sigma)).sum(axis=1)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    want = -stats.norm.logpdf(x, MEAN, np.exp(LOG_VARIANCE / 2)).sum(axis=1)
    np.testing.assert_allclose(each, want, rtol=1e-10)
    want = -stats.bernoulli.logpmf(x > 0, 1 / (1 + np.exp(-MEAN))).sum(axis=1)
    np.testing.assert_allclose(binary, want, rtol=1e-10)


def test_sums_over_pixels_of_any_shape():
    x = jnp.asarray(RNG.uniform(size=(2, 3, 4, 1)), jnp.float32)
    for loss in (vae.gaussian_nll, vae.bernoulli_nll):
        flat = loss(0 * x.reshape(2, -1), x.reshape(2, -1))
        np.testing.assert_allclose(loss(0 * x, x), flat, rtol=1e-6)


def test_the_optimal_sigma_is_the_best_of_all():
    x = RNG.normal(size=(4, 6))
    with jax.enable_x64(True):
        mean, x = jnp.zeros((4, 6)), jnp.asarray(x)
        best = vae.optimal_gaussian_nll(mean, x)
        tried = jnp.stack([vae.gaussian_nll(mean, x, s) for s in np.linspace(-2, 2, 2001)])
        slope = jax.grad(lambda m: vae.optimal_gaussian_nll(m, x).sum())(mean)
        exact = jax.grad(lambda m: vae.optimal_gaussian_nll(m, x).sum())(x)
        np.testing.assert_allclose(best, tried.min(axis=0), atol=1e-4)
    variance = np.square(x).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(slope, -np.asarray(x) / variance, rtol=1e-8)
    assert np.isfinite(exact).all()


def linear_gaussian(k, n_draws, rng):
    """-IWAE_k of x = W z + b + noise under a wrong q, n_draws times, and -log p(x)."""
    w, b, sigma = np.array([[1.0, 0.3], [0.2, -0.8], [0.5, 0.5]]), np.array([0.1, 0, -0.2]), 0.6
    x = np.array([0.9, -1.1, 0.4])
    exact = -stats.multivariate_normal.logpdf(x, b, w @ w.T + sigma**2 * np.eye(3))
    mean, log_variance = np.array([0.3, 0.5]), np.log([0.5, 0.3])
    z = mean + np.exp(log_variance / 2) * rng.normal(size=(n_draws * k, 2))
    repeat = np.ones((n_draws * k, 1))
    with jax.enable_x64(True):
        given = vae.gaussian_nll(jnp.asarray(z @ w.T + b), jnp.asarray(repeat * x), np.log(sigma))
        prior = vae.gaussian_nll(jnp.zeros(z.shape), jnp.asarray(z))
        q = vae.normal_nll(*map(jnp.asarray, (z, repeat * mean, repeat * log_variance)))
        bound = vae.importance_bound((q - given - prior).reshape(n_draws, k))
        kl = vae.kl_to_standard_normal(jnp.asarray(mean[None]), jnp.asarray(log_variance[None]))
    return np.asarray(bound), np.asarray(given), float(kl[0]), exact


def test_iwae_of_a_linear_gaussian_model():
    """k = 1 is -ELBO in the mean; it falls with k; many samples find the exact likelihood."""
    rng = np.random.default_rng(1)
    bound, given, kl, exact = linear_gaussian(1, 20000, rng)
    error = 4 * bound.std() / np.sqrt(len(bound))
    assert abs(bound.mean() - (given.mean() + kl)) < error
    means = [linear_gaussian(k, 4000, rng)[0].mean() for k in (1, 4, 16, 64)]
    assert means[0] > means[1] > means[2] > means[3] > exact
    many, *_ = linear_gaussian(20000, 1, rng)
    np.testing.assert_allclose(many[0], exact, atol=0.03)


def test_importance_bound_stays_finite():
    far = jnp.array([[-2000.0, -2001.0], [900.0, 900.0]])
    want = -np.array([-2000 + np.log((1 + np.exp(-1)) / 2), 900])
    np.testing.assert_allclose(vae.importance_bound(far), want, rtol=1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="mean and log_variance: shapes must be equal"):
        vae.kl_to_standard_normal(jnp.ones((3, 2)), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match=r"log_sigma: expected one number .* shape \(3,\)"):
        vae.gaussian_nll(jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.ones(3))
    with pytest.raises(ValueError, match="logits and targets: shapes must be equal"):
        vae.bernoulli_nll(jnp.ones((3, 2)), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match="targets: expected a batch of shape"):
        vae.optimal_gaussian_nll(jnp.ones(3), jnp.float32(1))
    with pytest.raises(ValueError, match="log_weights: expected one row per example"):
        vae.importance_bound(jnp.ones(3))
    bad = vae.bernoulli_nll(jnp.zeros((3, 1)), jnp.array([[0.5], [-1.0], [1.1]]))
    np.testing.assert_array_equal(jnp.isnan(bad), [False, True, True])
