"""PRDC: the published value, brute force, block independence, and which way round it is."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from gan_mtl.metrics import improved_precision_recall, prdc

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
def test_published_value():
    """README of the authors' package: two normal draws (not seeded), 10,000 x 1,000, k = 5.

    Over six seeds of ours, mean and deviation: 0.474 (14), 0.483 (8), 0.970 (56), 0.965 (5).
    """
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


def test_improved_precision_recall_against_brute_force():
    """On a grid of integers, where distances are exact and ties abound."""
    real, fake = RNG.integers(0, 6, size=(80, 3)), RNG.integers(1, 7, size=(50, 3))

    def radii(x):
        return np.sort(np.square(x[:, None] - x[None]).sum(axis=2), axis=1)[:, 3]

    between = np.square(real[:, None] - fake[None]).sum(axis=2)
    closed = (
        (between <= radii(real)[:, None]).any(axis=0).mean(),
        (between <= radii(fake)[None]).any(axis=1).mean(),
    )
    got = improved_precision_recall(real, fake, block=7)
    assert got == pytest.approx(closed)
    strict = prdc(real, fake, k=3)
    np.testing.assert_allclose(
        strict[:2],
        [
            (between < radii(real)[:, None]).any(axis=0).mean(),
            (between < radii(fake)[None]).any(axis=1).mean(),
        ],
        rtol=1e-12,
    )
    assert strict.precision < got.precision and strict.recall < got.recall


def test_the_border_belongs_to_the_ball_of_improved_precision():
    real = np.array([[0.0], [1.0], [2.0]])
    assert improved_precision_recall(real, np.array([[3.0], [40.0]]), k=1).precision == 0.5
    assert improved_precision_recall(real, np.array([[3.1], [40.0]]), k=1).precision == 0.0


def test_improved_precision_recall_the_right_way_round():
    a, b = RNG.normal(size=(2, 100, 4))
    got = improved_precision_recall(np.concatenate([a, b + 50]), RNG.normal(size=(200, 4)))
    assert got.precision > 0.9 and got.recall == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
def test_what_float32_cannot_tell_apart_is_computed_in_float64(spread):
    """Fakes so close together, far from the centre, that their distances drown in rounding."""
    real = RNG.normal(size=(80, 6))
    fake = 3 + spread * RNG.normal(size=(70, 6))
    fake[:20] = real[:20] + spread
    np.testing.assert_allclose(prdc(real, fake, 3, 32), brute_force(real, fake, 3), rtol=1e-12)
    np.testing.assert_allclose(prdc(fake, real, 3, 32), brute_force(fake, real, 3), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_any_scale(scale):
    real, fake = RNG.normal(size=(2, 60, 3))
    assert prdc(scale * real, scale * fake) == prdc(real, fake)


def test_memory_is_that_of_the_features_and_some_blocks():
    real, fake = RNG.normal(size=(2, 1500, 8))
    tracemalloc.start()
    prdc(real, fake, block=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1500 * 1500 * 8 / 4


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
    with pytest.raises(ValueError, match="fake: expected finite features"):
        improved_precision_recall(x, np.full((6, 3), np.nan))
