"""Kernel distance (KID): unbiased squared maximum mean discrepancy under a cubic kernel.

Reference:
    Binkowski et al., "Demystifying MMD GANs", ICLR 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class KernelDistance(NamedTuple):
    """The mean over subsets of the squared MMD, its standard deviation over them, and their
    convention.

    std describes the subsets, not runs. Many tables print the mean times 1000.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int


def polynomial_mmd2(real: ArrayLike, fake: ArrayLike) -> float:
    """Unbiased squared MMD with k(x, y) = (x.y / d + 1)^3; may be negative.

    Args:
        real: features, shape [n, d], n >= 2.
        fake: features, shape [m, d], m >= 2.
    """
    x, y = _features(real, fake)
    n, m = len(x), len(y)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    within_x, within_y = kernel(x, x), kernel(y, y)
    return float(
        (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
        + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
        - 2 * kernel(x, y).mean()
    )


def kernel_distance(
    real: ArrayLike,
    fake: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """The mean of the unbiased squared MMD over random subsets.

    Each subset takes `subset_size` examples of either side without replacement. The default, 100 x
    1000, is that of torch-fidelity, StyleGAN3 and clean-fid; MMD-GAN had 50 x 1000, mimicry 10 x
    5000.

    Args:
        real: features, shape [n, d].
        fake: features, shape [m, d].
        subsets: how many.
        subset_size: at least 2, at most n and m.
        seed: of the choice of subsets.
    """
    x, y = _features(real, fake)
    if not 2 <= subset_size <= min(len(x), len(y)):
        raise ValueError(
            f"subset_size: expected 2 to {min(len(x), len(y))}, the smaller of the two sets, got "
            f"{subset_size}; take smaller subsets (another convention: print it) or more samples"
        )
    if subsets < 1:
        raise ValueError(f"subsets: expected at least 1, got {subsets}")
    rng = np.random.default_rng(seed)
    values = [
        polynomial_mmd2(
            x[rng.choice(len(x), subset_size, replace=False)],
            y[rng.choice(len(y), subset_size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)), subsets, subset_size)


def _features(real: ArrayLike, fake: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    for name, array in (("real", x), ("fake", y)):
        if array.ndim != 2 or len(array) < 2:
            raise ValueError(f"{name}: expected shape [n, d] with n >= 2, got {array.shape}")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real and fake: widths must be equal, got {x.shape[1]} and {y.shape[1]}")
    return x, y
