"""Nearest training examples against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_mtl.sampling import nearest

RNG = np.random.default_rng(0)
SAMPLES, TRAINING = RNG.normal(size=(30, 4, 4, 1)) + 50, RNG.normal(size=(47, 4, 4, 1)) + 50


@pytest.mark.parametrize("block", [5, 47, 2048])
def test_against_scikit_learn(block):
    search = NearestNeighbors(n_neighbors=1).fit(TRAINING.reshape(47, -1))
    distance, index = search.kneighbors(SAMPLES.reshape(30, -1))
    got = nearest(SAMPLES, TRAINING, block=block)
    np.testing.assert_array_equal(got.index, index[:, 0])
    np.testing.assert_allclose(got.distance, distance[:, 0], rtol=1e-9)


def test_copies_are_found_at_distance_zero():
    got = nearest(TRAINING[[3, 40, 7]].astype(np.float32), TRAINING.astype(np.float32), block=10)
    assert got.index.tolist() == [3, 40, 7] and got.distance.tolist() == [0, 0, 0]


def test_features_are_compared_where_asked():
    def sums(x):
        return x.sum(axis=(1, 2))

    got = nearest(SAMPLES, TRAINING, sums, block=8)
    gaps = np.abs(sums(SAMPLES)[:, 0][:, None] - sums(TRAINING)[:, 0][None])
    np.testing.assert_array_equal(got.index, gaps.argmin(axis=1))
    np.testing.assert_allclose(got.distance, gaps.min(axis=1), rtol=1e-9, atol=1e-12)


def test_uint8_does_not_wrap():
    got = nearest(np.array([[250]], np.uint8), np.array([[5], [200]], np.uint8))
    assert (got.index[0], got.distance[0]) == (1, 50)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"\(30, 4, 4, 1\) and \(47, 4, 4\)"):
        nearest(SAMPLES, TRAINING[..., 0])
