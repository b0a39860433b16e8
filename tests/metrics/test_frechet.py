"""Frechet distance: closed forms, SciPy's matrix square root, rank deficiency, streaming."""

import numpy as np
import pytest
import scipy.linalg

from gan_mtl.metrics import Moments, frechet_distance, moments

RNG = np.random.default_rng(0)


def covariance(d, rank=None):
    a = RNG.normal(size=(d, rank or 2 * d))
    return a @ a.T / d


def test_closed_forms():
    assert frechet_distance([0.0], [[1.0]], [3.0], [[4.0]]) == pytest.approx(9 + (1 - 2) ** 2)
    a, b = RNG.uniform(0.1, 3, 6), RNG.uniform(0.1, 3, 6)
    mean = RNG.normal(size=6)
    got = frechet_distance(mean, np.diag(a), np.zeros(6), np.diag(b))
    assert got == pytest.approx((mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


def test_against_scipys_square_root():
    for d in (2, 5, 30):
        a, b = covariance(d), covariance(d)
        mean_a, mean_b = RNG.normal(size=(2, d))
        root = np.real(scipy.linalg.sqrtm(a @ b))
        want = ((mean_a - mean_b) ** 2).sum() + np.trace(a + b - 2 * root)
        assert frechet_distance(mean_a, a, mean_b, b) == pytest.approx(want, rel=1e-9)


def test_golden_value():
    """Worked once with 50 digits: commuting matrices Q diag Q' with Q a rotation by 0.3."""
    c, s = np.cos(0.3), np.sin(0.3)
    q = np.array([[c, -s], [s, c]])
    a, b = q @ np.diag([4.0, 9.0]) @ q.T, q @ np.diag([1.0, 25.0]) @ q.T
    assert frechet_distance([1, 2], a, [0, 0], b) == pytest.approx(5 + 1 + 4, rel=1e-13)


def test_metric_properties():
    a, b = covariance(8), covariance(8)
    mean_a, mean_b = RNG.normal(size=(2, 8))
    assert frechet_distance(mean_a, a, mean_a, a) < 1e-12
    there, back = frechet_distance(mean_a, a, mean_b, b), frechet_distance(mean_b, b, mean_a, a)
    assert there == pytest.approx(back, rel=1e-10)


@pytest.mark.parametrize("rank", [1, 3])
def test_rank_deficient_covariances(rank):
    """Fewer samples than dimensions: no complex numbers, no noise, the value of the subspace."""
    small_a, small_b = covariance(rank, 9), covariance(rank, 9)
    q = np.linalg.qr(RNG.normal(size=(12, rank)))[0]
    zero, want = np.zeros(12), frechet_distance(np.zeros(rank), small_a, np.zeros(rank), small_b)
    got = frechet_distance(zero, q @ small_a @ q.T, zero, q @ small_b @ q.T)
    assert got == pytest.approx(want, rel=1e-6, abs=1e-7)
    assert frechet_distance(zero, q @ small_a @ q.T, zero, q @ small_a @ q.T) < 1e-6
    # orthogonal subspaces: nothing in common
    u = np.eye(12)[:, :1], np.eye(12)[:, 1:2]
    assert frechet_distance(zero, u[0] @ u[0].T, zero, u[1] @ u[1].T) == pytest.approx(2)


def test_moments_are_numpys():
    features = RNG.normal(size=(50, 4)).astype(np.float32)
    mean, cov = moments(features)
    assert mean.dtype == cov.dtype == np.float64
    np.testing.assert_allclose(mean, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(cov, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-10)


def test_streaming_equals_all_at_once_far_from_the_origin():
    features = 1e4 + RNG.normal(size=(500, 3))
    stream = Moments.empty(3)
    for batch in np.split(features, [1, 1, 7, 300]):  # an empty one too
        stream = stream.add(batch)
    left, right = Moments.empty(3).add(features[:123]), Moments.empty(3).add(features[123:])
    for got in (stream, left.merge(right)):
        assert got.count == 500
        np.testing.assert_allclose(got.mean, features.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(got.cov, np.cov(features, rowvar=False), rtol=1e-7)
    assert Moments.empty(3).merge(Moments.empty(3)).count == 0


def test_bad_input_is_refused_by_name():
    one = np.eye(2)
    with pytest.raises(ValueError, match=r"mean_a and mean_b.*\(2,\) and \(3,\)"):
        frechet_distance(np.zeros(2), one, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match=r"cov_b: expected shape \(2, 2\), got \(3, 3\)"):
        frechet_distance(np.zeros(2), one, np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="cov_a: expected a symmetric"):
        frechet_distance(np.zeros(2), [[1.0, 1.0], [0.0, 1.0]], np.zeros(2), one)
    with pytest.raises(ValueError, match="cov_a: expected a symmetric"):
        frechet_distance(np.zeros(2), one * np.nan, np.zeros(2), one)
    with pytest.raises(ValueError, match=r"features.*n >= 2.*\(1, 3\)"):
        moments(np.ones((1, 3)))
    with pytest.raises(ValueError, match="at least two"):
        _ = Moments.empty(3).cov
    with pytest.raises(ValueError, match=r"features: expected shape \[n, 3\]"):
        Moments.empty(3).add(np.ones((2, 4)))
