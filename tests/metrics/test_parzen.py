"""Parzen windows against scikit-learn's kernel density, a loop, and a closed form."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import KernelDensity

from gan_mtl.metrics import choose_sigma, parzen_log_likelihood, parzen_score

RNG = np.random.default_rng(0)
SAMPLES, TEST = RNG.random((60, 12)), RNG.random((41, 12))


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("block", [7, 60, 1024])
def test_against_kernel_density(sigma, block):
    expected = KernelDensity(bandwidth=sigma).fit(SAMPLES).score_samples(TEST)
    got = parzen_log_likelihood(SAMPLES, TEST, sigma, block)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_one_kernel_is_a_gaussian():
    got = parzen_log_likelihood(np.zeros((1, 3)), TEST[:, :3], 0.5)
    expected = stats.norm.logpdf(TEST[:, :3], scale=0.5).sum(axis=1)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_far_points_do_not_underflow():
    got = parzen_log_likelihood(np.zeros((4, 784)), np.ones((1, 784)), 0.01)
    expected = -0.5 * 784 / 0.01**2 - 784 * math.log(0.01 * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(got, [expected], rtol=1e-12)


def test_images_are_flattened():
    np.testing.assert_array_equal(
        parzen_log_likelihood(SAMPLES.reshape(60, 3, 4, 1), TEST.reshape(41, 3, 4, 1), 0.2),
        parzen_log_likelihood(SAMPLES, TEST, 0.2),
    )


def test_a_density_over_samples():
    """In one dimension the likelihood integrates to 1."""
    x = np.linspace(-3, 4, 7001)[:, None]
    density = np.exp(parzen_log_likelihood(SAMPLES[:, :1], x, 0.2))
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=1e-9)


def test_choice_of_sigma():
    sigmas = np.logspace(-1, 0, 10)
    means = [KernelDensity(bandwidth=s).fit(SAMPLES).score(TEST) for s in sigmas]
    chosen = choose_sigma(SAMPLES, TEST)
    assert chosen == pytest.approx(sigmas[np.argmax(means)])
    assert sigmas[0] < chosen < sigmas[-1]


def test_score_is_mean_and_standard_error_over_test_examples():
    got = parzen_score(SAMPLES, TEST[:20], TEST[20:])
    values = parzen_log_likelihood(SAMPLES, TEST[20:], got.sigma)
    assert got.sigma == choose_sigma(SAMPLES, TEST[:20])
    assert got.mean == pytest.approx(values.mean())
    assert got.standard_error == pytest.approx(values.std() / math.sqrt(21))


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="samples and test: widths must be equal, got 12 and 11"):
        parzen_log_likelihood(SAMPLES, TEST[:, :11], 0.1)
    with pytest.raises(ValueError, match=r"sigma: expected positive bandwidths, got \[0.0\]"):
        parzen_log_likelihood(SAMPLES, TEST, 0.0)
    with pytest.raises(ValueError, match=r"validation: .*\(12,\)"):
        choose_sigma(SAMPLES, TEST[0])
    with pytest.raises(ValueError, match=r"samples: .*\(0, 12\)"):
        parzen_log_likelihood(SAMPLES[:0], TEST, 0.1)
