"""Label-free validators: formulas by loops, known orders, the risks on a shift with an answer."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from gan_mtl import metrics
from gan_mtl.metrics import validators

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.normal(size=(7, 4))


def test_entropy_and_information_maximisation():
    p = softmax(LOGITS, axis=1)
    mean = np.mean([entropy(row) for row in p])
    np.testing.assert_allclose(metrics.mean_entropy(LOGITS), mean)
    wanted = entropy(p.mean(axis=0)) - mean
    np.testing.assert_allclose(metrics.information_maximisation(LOGITS), wanted)


def test_a_collapsed_model_has_no_entropy_and_no_information():
    collapsed, spread = np.tile([900.0, 0.0, 0.0], (6, 1)), 900 * np.eye(3)[np.arange(6) % 3]
    for logits, information in ((collapsed, 0.0), (spread, np.log(3))):
        np.testing.assert_allclose(metrics.mean_entropy(logits), 0, atol=1e-12)
        found = metrics.information_maximisation(logits)
        np.testing.assert_allclose(found, information, atol=1e-12)


def test_the_density_of_soft_neighbourhoods(monkeypatch):
    p, tau = softmax(LOGITS, axis=1), 0.3
    found = []
    for i, x in enumerate(p):
        cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for j, y in enumerate(p) if j != i]
        found.append(entropy(softmax(np.array(cosines) / tau)))
    for block in (1024, 3):
        monkeypatch.setattr(validators, "BLOCK", block)
        got = metrics.soft_neighbourhood_density(p, temperature=tau)
        np.testing.assert_allclose(got, np.mean(found))


def test_tight_clusters_are_denser_than_scattered_outputs():
    clusters = np.eye(3)[np.arange(30) % 3]
    scattered = RNG.dirichlet(np.ones(3), size=30)
    got = metrics.soft_neighbourhood_density(clusters)
    np.testing.assert_allclose(got, np.log(9), rtol=1e-3)  # the nine others of its cluster
    assert got > metrics.soft_neighbourhood_density(scattered)


def shifted(rng, n=400):
    """Examples of N(0, 1) with the loss x^2, and the weights of N(0.5, 1) by the true logit."""
    x = rng.normal(size=n)
    logits = 0.125 - 0.5 * x + np.log(3)  # of "source", where there are three times as many
    return x**2, metrics.importance_weights(logits, 3 * n, n)


def test_both_risks_estimate_the_target_s_and_dev_varies_less():
    """E x^2 under N(0.5, 1) is 1.25; under the source it is 1."""
    draws = [shifted(np.random.default_rng(seed)) for seed in range(300)]
    weighted = [metrics.importance_weighted_risk(*draw) for draw in draws]
    controlled = [metrics.deep_embedded_validation(*draw) for draw in draws]
    np.testing.assert_allclose(np.mean(weighted), 1.25, atol=0.03)
    np.testing.assert_allclose(np.mean(controlled), 1.25, atol=0.03)
    assert np.std(controlled) < 0.9 * np.std(weighted)


def test_the_risks_formulas():
    losses, weights = np.array([1.0, 0.0, 2.0]), np.array([0.5, 1.0, 3.0])
    weighted = np.array([0.5, 0.0, 6.0])
    np.testing.assert_allclose(metrics.importance_weighted_risk(losses, weights), 6.5 / 3)
    centred = weights - 1.5
    eta = -((weighted - 6.5 / 3) * centred).sum() / (centred**2).sum()
    wanted = 6.5 / 3 + eta * 1.5 - eta
    np.testing.assert_allclose(metrics.deep_embedded_validation(losses, weights), wanted)
    np.testing.assert_allclose(metrics.deep_embedded_validation(losses, np.ones(3)), 1.0)
    assert metrics.deep_embedded_validation(losses, np.zeros(3)) == 0.0
    huge = 2.0**700  # whose square is infinite
    wanted = huge * (6.5 / 3 + eta * 1.5) - eta
    np.testing.assert_allclose(metrics.deep_embedded_validation(losses, huge * weights), wanted)


def test_weights_that_no_number_holds_are_refused():
    """Not exp(710) = inf, from which come inf * 0 and inf - inf."""
    found = metrics.importance_weights(np.array([-700.0, 0.0, 800.0]), 30, 10)
    np.testing.assert_allclose(found, [3 * np.exp(700.0), 3.0, 0.0])
    for bad in (-710.0, -np.inf, np.nan):
        with pytest.raises(ValueError, match=rf"domain_logits: {bad} at \[1\].*penalise"):
            metrics.importance_weights(np.array([0.0, bad]), 1, 1)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"logits: expected one row per example.*got \(4,\)"):
        metrics.mean_entropy(np.ones(4))
    with pytest.raises(ValueError, match="three examples or more, got 2"):
        metrics.soft_neighbourhood_density(np.ones((2, 3)))
    with pytest.raises(ValueError, match="temperature: expected a number above 0, got 0"):
        metrics.soft_neighbourhood_density(np.ones((4, 3)), temperature=0)
    with pytest.raises(ValueError, match=r"domain_logits: expected shape \[n\], got \(4, 1\)"):
        metrics.importance_weights(np.ones((4, 1)), 1, 1)
    with pytest.raises(ValueError, match="expected at least 1, got 0 and 5"):
        metrics.importance_weights(np.ones(4), 0, 5)
    with pytest.raises(ValueError, match=r"shape \[n\], got \(3,\) and \(4,\)"):
        metrics.importance_weighted_risk(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"weights: expected none below 0, got -1\.0"):
        metrics.importance_weighted_risk(np.ones(3), -np.ones(3))
    with pytest.raises(ValueError, match="two examples or more, got 1"):
        metrics.deep_embedded_validation(np.ones(1), np.ones(1))
