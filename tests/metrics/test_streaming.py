"""Streams: what is kept does not depend on the batches, and equals the scores of the whole."""

import jax
import numpy as np
import pytest

from gan_mtl.metrics import (
    PredictionSums,
    Reservoir,
    accumulate,
    inception_score,
    kernel_distance,
    moments,
)

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(1000, 3))


def reservoir(features, cuts, capacity=50, seed=0):
    kept = Reservoir.empty(capacity, seed)
    for batch in np.split(features, cuts):
        kept = kept.add(batch)
    return kept


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [10, 60, 500], [0, 1000]])
def test_the_reservoir_does_not_depend_on_the_batches(cuts):
    whole = reservoir(FEATURES, [])
    got = reservoir(FEATURES, cuts)
    np.testing.assert_array_equal(got.items, whole.items)
    assert (got.seen, got.items.shape) == (1000, (50, 3))


def test_a_short_stream_is_kept_whole_and_in_order():
    kept = reservoir(FEATURES[:50], [20])
    np.testing.assert_array_equal(kept.items, FEATURES[:50])
    assert kept.items.dtype == FEATURES.dtype
    assert Reservoir.empty(5).add(FEATURES.astype(np.float32)).items.dtype == np.float32


def test_every_example_is_kept_equally_often():
    numbers = np.arange(40.0)[:, None]
    kept = [reservoir(numbers, [7, 30], 10, seed).items[:, 0].astype(int) for seed in range(2000)]
    counts = np.bincount(np.concatenate(kept), minlength=40)
    expected, deviation = 2000 / 4, np.sqrt(2000 * 0.25 * 0.75)
    assert np.abs(counts - expected).max() < 4.5 * deviation
    assert all((np.diff(k) > 0).all() for k in kept)


def test_merged_streams_are_a_subset_of_both():
    one = np.arange(30.0)[:, None]
    shares = [
        (reservoir(one, [], 10, 2 * s).merge(reservoir(one + 30, [], 10, 2 * s + 1)).items >= 30)
        for s in range(300)
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)
    both = reservoir(one, [], 10, 0).merge(reservoir(one, [], 10, 1))
    assert both.seen == 60 and len(both.items) == 10
    with pytest.raises(ValueError, match="both streams have 0"):
        reservoir(one, []).merge(reservoir(one, []))
    with pytest.raises(ValueError, match="kept 5 of 30, too few for 10"):
        reservoir(one, [], 10).merge(reservoir(one, [], 5, 1))


def test_accumulate_takes_what_a_network_returns():
    def network(params, images):
        return images.reshape(len(images), -1) @ params

    images, params = RNG.normal(size=(64, 2, 2, 1)), RNG.normal(size=(4, 5))
    features = images.reshape(64, 4) @ params
    batches = np.split(images, [30, 50])
    found, kept = accumulate((network(params, jax.numpy.asarray(x)) for x in batches), capacity=64)
    np.testing.assert_allclose(found.mean, moments(features)[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.cov, moments(features)[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(kept.items, features, rtol=1e-4, atol=1e-5)
    assert kernel_distance(kept.items, features, subsets=3, subset_size=10).subsets == 3
    with pytest.raises(ValueError, match="at least one batch"):
        accumulate([])


@pytest.mark.parametrize("cuts", [[], [5, 6, 50], [33, 66]])
@pytest.mark.parametrize("splits", [1, 7, 10])
def test_streamed_inception_score(cuts, splits):
    logits = 2 * np.random.default_rng(1).normal(size=(103, 6))
    sums = PredictionSums.empty(103, 6, splits)
    for batch in np.split(logits, cuts):
        sums = sums.add(batch, logits=True)
    expected = inception_score(logits, splits, logits=True)
    np.testing.assert_allclose(np.array(sums.score()), np.array(expected), rtol=1e-10, atol=1e-12)


def test_bad_input_is_refused_by_name():
    sums = PredictionSums.empty(5, 2, 1).add(np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match=r"expected 5 samples, 3 have been added"):
        sums.score()
    with pytest.raises(ValueError, match=r"at most 2 more of 2 classes, got shape \(3, 2\)"):
        sums.add(np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="splits: expected 1 to 5"):
        PredictionSums.empty(5, 2)
    with pytest.raises(ValueError, match=r"\[n, 3\], got \(2, 4\)"):
        reservoir(FEATURES, []).add(np.ones((2, 4)))
    with pytest.raises(ValueError, match="capacity"):
        Reservoir.empty(0)
