"""PRDC: the published value, brute force, block independence, and which way round it is."""

import os

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from gan_mtl.metrics import prdc

RNG = np.random.default_rng(0)


def brute_force(real, fake, k):
    def radii(x):
        return np.sort(pairwise_distances(x), axis=1)[:, k]  # column 0 is the point itself

    between = pairwise_distances(real, fake)
    in_real = between < radii(real)[:, None]
    return (
        in_real.any(axis=0).mean(),
        (between < radii(fake)[None]).any(axis=1).mean(),
        in_real.sum(axis=0).mean() / k,
        (between.min(axis=1) < radii(real)).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("block", [7, 64, 10_000])
def test_against_brute_force_whatever_the_block(k, block):
    real, fake = RNG.normal(size=(90, 6)), 0.8 * RNG.normal(size=(70, 6)) + 0.3
    np.testing.assert_allclose(prdc(real, fake, k, block), brute_force(real, fake, k), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.skipif("GAN_MTL_SLOW" not in os.environ, reason="half a minute; set GAN_MTL_SLOW=1")
def test_published_value():
    """README of the authors' package: two normal draws (not seeded), 10,000 x 1,000, k = 5."""
    real, fake = np.random.default_rng(1).normal(size=(2, 10_000, 1_000))
    got = prdc(real, fake, k=5)
    np.testing.assert_allclose(got, [0.4772, 0.4705, 1.0555, 0.9735], rtol=0.08)


def test_identical_distributions():
    """The expected coverage of equal distributions is 1 - (n-1)...(n-k) / (2n-1)...(2n-k)."""
    n, k = 500, 5
    real, fake = np.random.default_rng(2).normal(size=(2, n, 16))
    got = prdc(real, fake, k)
    i = np.arange(1, k + 1)
    assert got.coverage == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=0.02)
    assert got.density == pytest.approx(1, abs=0.15)


def test_orientation():
    """Two real modes, fakes in one of them: precise, but half is not recalled; and the reverse."""
    a, b = RNG.normal(size=(2, 100, 4))
    one, two = RNG.normal(size=(200, 4)), np.concatenate([a, b + 50])
    dropped, invented = prdc(two, one), prdc(one, two)
    assert dropped.precision > 0.9 and dropped.recall == pytest.approx(0.5, abs=0.05)
    assert dropped.coverage == pytest.approx(0.5, abs=0.05)
    assert invented.recall > 0.9 and invented.precision == pytest.approx(0.5, abs=0.05)


def test_inside_is_strict():
    """Reals at 0, 1, 2 (radius 1 with k = 1): a fake at 3 lies on the border, at 2.5 inside."""
    real = np.array([[0.0], [1.0], [2.0]])
    assert prdc(real, np.array([[3.0], [40.0]]), k=1).precision == 0.0
    assert prdc(real, np.array([[2.5], [40.0]]), k=1).precision == 0.5


def test_duplicates_give_radius_zero_and_hold_nothing():
    real = np.zeros((4, 2))
    assert prdc(real, real, k=2) == (0.0, 0.0, 0.0, 0.0)


def test_far_from_the_origin():
    real, fake = RNG.normal(size=(2, 60, 3))
    np.testing.assert_allclose(prdc(real + 1e6, fake + 1e6), prdc(real, fake), atol=0.02)


def test_bad_input_is_refused_by_name():
    x = np.ones((6, 3))
    with pytest.raises(ValueError, match="k: expected 1 to 3 with 4 fakes, got 5"):
        prdc(x, np.ones((4, 3)))
    with pytest.raises(ValueError, match="widths must be equal, got 3 and 2"):
        prdc(x, np.ones((6, 2)))
    with pytest.raises(ValueError, match=r"real.*\(6,\)"):
        prdc(np.ones(6), x)
