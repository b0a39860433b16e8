"""Gradient maps in closed form; the rank statistic against scikit-learn and by simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gan_mtl.sampling import input_gradients, logit_gap

RNG = np.random.default_rng(0)


def test_gradients_of_each_image_s_own_logit():
    images = jnp.asarray(RNG.normal(size=(3, 2, 2, 1)), jnp.float32)
    weights = jnp.arange(4.0).reshape(1, 2, 2, 1)
    got = input_gradients(lambda x: (weights * x**2).sum(axis=(1, 2, 3)), images)
    np.testing.assert_allclose(got, 2 * weights * images, rtol=1e-6)
    jitted = jax.jit(lambda x: input_gradients(lambda y: y.sum(axis=(1, 2, 3)) ** 2, x))(images)
    expected = 2 * images.sum(axis=(1, 2, 3), keepdims=True) * jnp.ones_like(images)
    np.testing.assert_allclose(jitted, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"logits: expected shape \(3,\), got \(3, 1\)"):
        input_gradients(lambda x: x.sum(axis=(1, 2)), images)


def test_auc_against_scikit_learn_with_ties():
    a, b = RNG.integers(0, 9, 80) / 2, RNG.integers(0, 7, 50) / 2
    expected = roc_auc_score(np.repeat([1, 0], [80, 50]), np.concatenate([a, b]))
    assert logit_gap(a, b).auc == pytest.approx(expected)


def test_standard_error_by_brute_force():
    """DeLong's components written out as a matrix of pairs."""
    a, b = RNG.normal(size=30) + 0.5, RNG.normal(size=20)
    pairs = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    variance = pairs.mean(axis=1).var(ddof=1) / 30 + pairs.mean(axis=0).var(ddof=1) / 20
    assert logit_gap(a, b).standard_error == pytest.approx(np.sqrt(variance))


def test_standard_error_is_the_spread_over_draws():
    found = [logit_gap(RNG.normal(size=100) + 1, RNG.normal(size=60)) for _ in range(400)]
    aucs, errors = np.array(found).T
    assert aucs.mean() == pytest.approx(0.7602, abs=0.006)  # Phi(1 / sqrt 2)
    assert errors.mean() == pytest.approx(aucs.std(), rel=0.12)


def test_ends_and_monotonic_changes():
    a, b = RNG.normal(size=40), RNG.normal(size=30)
    assert logit_gap(a + 100, b) == (1.0, 0.0)
    assert logit_gap(np.exp(a), np.exp(b)) == logit_gap(a, b)
    assert logit_gap(a, b).auc == pytest.approx(1 - logit_gap(b, a).auc)
    assert logit_gap(np.ones(3), np.ones(4)).auc == 0.5


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"held_out: .*\(1,\)"):
        logit_gap([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="training: expected numbers, found nan"):
        logit_gap([1.0, np.nan], [1.0, 2.0])
