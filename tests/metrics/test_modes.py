"""Mode coverage: closed forms, loops, and results that peers leave undefined."""

import math

import numpy as np
import pytest
from scipy import stats

from gan_mtl.metrics import class_coverage, mode_coverage

RING = np.array([[math.cos(a), math.sin(a)] for a in np.arange(8) * math.pi / 4])


def test_real_ring_data_scores_the_closed_form():
    """A share 1 - exp(-radius²/2) of a two-dimensional Gaussian: 98.89 % within 3."""
    rng = np.random.default_rng(0)
    n = 200_000
    samples = RING[rng.integers(8, size=n)] + 0.01 * rng.normal(size=(n, 2))
    got = mode_coverage(samples, RING, 0.01)
    assert got.modes == 8
    assert got.quality == pytest.approx(1 - math.exp(-4.5), abs=4 * math.sqrt(0.011 * 0.989 / n))
    assert got.reverse_kl == pytest.approx(0, abs=3 * 7 / n)
    wider = mode_coverage(samples, RING, 0.01, radius=1.0)
    assert wider.quality == pytest.approx(1 - math.exp(-0.5), abs=0.005)


def test_against_a_loop():
    rng = np.random.default_rng(1)
    centres, samples = rng.normal(size=(5, 3)), rng.normal(size=(300, 3))
    std = np.array([0.1, 0.2, 0.4, 0.2, 0.3])
    counts = np.zeros(5)
    for x in samples:
        distances = [np.linalg.norm(x - c) / s for c, s in zip(centres, std, strict=True)]
        if min(distances) < 3:
            counts[np.argmin(distances)] += 1
    got = mode_coverage(samples, centres, std)
    assert 0 < counts.sum() < 300
    np.testing.assert_array_equal(got.histogram, counts)
    assert got.quality == counts.sum() / 300
    assert got.modes == (counts > 0).sum()
    expected = stats.entropy(counts / counts.sum(), np.full(5, 0.2))
    assert got.reverse_kl == pytest.approx(expected, rel=1e-12)


def test_many_samples_in_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    samples = rng.normal(size=(100, 2))
    whole = mode_coverage(samples, RING, 0.1)
    monkeypatch.setattr("gan_mtl.metrics.modes.BLOCK", 7 * RING.size)
    for a, b in zip(mode_coverage(samples, RING, 0.1), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_radius_is_strict():
    centres = np.array([[0.0, 0.0], [100.0, 0.0]])
    at, inside = np.array([[3.0, 0.0]]), np.array([[2.999, 0.0]])
    assert mode_coverage(at, centres, 1.0).quality == 0.0
    assert mode_coverage(inside, centres, 1.0).quality == 1.0


def test_bad_samples_do_not_enter_the_histogram():
    """One good sample in mode 0 and many far ones nearest to mode 1: KL is that of mode 0 alone."""
    samples = np.concatenate([RING[:1], np.tile(2 * RING[1:2], (50, 1))])
    got = mode_coverage(samples, RING, 0.01)
    assert (got.modes, got.quality) == (1, 1 / 51)
    assert got.reverse_kl == pytest.approx(math.log(8))


def test_no_good_sample_is_defined():
    got = mode_coverage(np.full((4, 2), 9.0), RING, 0.01)
    assert got[:3] == (0, 0.0, math.inf) and got.histogram.sum() == 0


def test_samples_that_are_not_finite_are_of_no_quality():
    samples = np.array([[np.nan, 0.0], [np.inf, 0.0], [1e200, 0.0], [1.0, 0.0]])
    assert mode_coverage(samples, RING, 0.01).quality == 0.25


def test_class_coverage():
    classes = np.array([0, 0, 1, 3])
    got = class_coverage(classes, 1000)
    assert got.modes == 3 and got.histogram.sum() == 4
    p = np.bincount(classes, minlength=1000) / 4
    assert got.reverse_kl == pytest.approx(stats.entropy(p, np.full(1000, 1e-3)), rel=1e-12)
    assert class_coverage(np.arange(1000), 1000)[:2] == (1000, pytest.approx(0, abs=1e-12))
    assert class_coverage([7] * 5, 1000).reverse_kl == pytest.approx(math.log(1000))


def test_even_uniform_samples_score_above_zero():
    """The bias of a histogram of n samples over k bins: (k - 1) / 2n."""
    classes = np.random.default_rng(3).integers(1000, size=26_000)
    assert class_coverage(classes, 1000).reverse_kl == pytest.approx(999 / 52_000, rel=0.15)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"samples: .*\(3,\)"):
        mode_coverage(np.ones(3), RING, 0.1)
    with pytest.raises(ValueError, match="widths must be equal, got 3 and 2"):
        mode_coverage(np.ones((3, 3)), RING, 0.1)
    with pytest.raises(ValueError, match=r"std: .*\(8,\), got \(2,\)"):
        mode_coverage(np.ones((3, 2)), RING, [0.1, 0.1])
    with pytest.raises(ValueError, match=r"positive values, got 0\.0 and 3"):
        mode_coverage(np.ones((3, 2)), RING, 0.0)
    with pytest.raises(ValueError, match="expected 0 to 9, found 10"):
        class_coverage([0, 10], 10)
    with pytest.raises(ValueError, match="expected 0 to 9, found -1"):
        class_coverage([0, -1], 10)
    with pytest.raises(TypeError, match="float64"):
        class_coverage([0.0], 10)
    with pytest.raises(ValueError, match=r"\(0,\)"):
        class_coverage([], 10)
