"""Kernel distance against double sums written out."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from gan_mtl.metrics import kernel_distance, polynomial_mmd2

RNG = np.random.default_rng(0)


def brute_force(x, y):
    def k(a, b):
        return (float(np.dot(a, b)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_against_brute_force_and_scikit_learn():
    x, y = RNG.normal(size=(9, 4)), 0.5 + RNG.normal(size=(7, 4))
    got = polynomial_mmd2(x, y)
    assert got == pytest.approx(brute_force(x, y), rel=1e-12)
    kernel = polynomial_kernel(x, y, degree=3, gamma=1 / 4, coef0=1)
    assert kernel[2, 3] == pytest.approx((x[2] @ y[3] / 4 + 1) ** 3)


def test_one_subset_of_everything_is_the_whole():
    x, y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3))
    got = kernel_distance(x, y, subsets=3, subset_size=20)
    assert got.mean == pytest.approx(polynomial_mmd2(x, y), rel=1e-10)
    assert got.std < 1e-12 and (got.subsets, got.subset_size) == (3, 20)


def test_unbiased_and_ordered():
    x = RNG.normal(size=(2000, 8))
    same = kernel_distance(x, RNG.normal(size=(2000, 8)), subsets=50, subset_size=100)
    near = kernel_distance(x, 0.2 + RNG.normal(size=(2000, 8)), subsets=50, subset_size=100)
    far = kernel_distance(x, 1.0 + RNG.normal(size=(2000, 8)), subsets=50, subset_size=100)
    assert abs(same.mean) < 3 * same.std / np.sqrt(50) + 0.01
    assert same.mean < near.mean < far.mean


def test_seeded():
    x, y = RNG.normal(size=(60, 3)), RNG.normal(size=(50, 3))
    a, b, c = (kernel_distance(x, y, subsets=5, subset_size=20, seed=s) for s in (0, 0, 1))
    assert a == b != c


def test_bad_input_is_refused_by_name():
    x = np.ones((10, 3))
    with pytest.raises(ValueError, match=r"subset_size: expected 2 to 10.*got 1000"):
        kernel_distance(x, np.ones((12, 3)))
    with pytest.raises(ValueError, match="subsets"):
        kernel_distance(x, x, subsets=0, subset_size=5)
    with pytest.raises(ValueError, match="widths must be equal, got 3 and 2"):
        polynomial_mmd2(x, np.ones((10, 2)))
    with pytest.raises(ValueError, match=r"fake.*\(10,\)"):
        polynomial_mmd2(x, np.ones(10))
