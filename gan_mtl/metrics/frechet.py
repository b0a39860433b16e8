r"""Frechet distance between two Gaussians, in float64 on the host.

FID is this distance between the moments of the features of real and generated images. The trace of
:math:`(\Sigma_1 \Sigma_2)^{1/2}` is that of :math:`(\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2})^{1/2}`,
which is symmetric: two eigendecompositions, no general matrix square root, nothing imaginary, and
no noise on the diagonal for rank-deficient covariances.

Reference:
    Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982;
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


def frechet_distance(
    mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike
) -> float:
    r""":math:`\lVert \mu_a - \mu_b \rVert^2 + \mathrm{tr}(\Sigma_a + \Sigma_b -
    2(\Sigma_a\Sigma_b)^{1/2})`.

    Args:
        mean_a: shape [d].
        cov_a: shape [d, d], symmetric, positive semi-definite.
        mean_b: shape [d].
        cov_b: shape [d, d].

    Returns:
        The squared distance, non-negative. With fewer samples than dimensions it is still defined,
        but biased upwards: print the sample counts beside it.

    Example:
        >>> frechet_distance([0.0], [[1.0]], [3.0], [[4.0]])
        10.0
    """
    mean_a, mean_b = np.asarray(mean_a, np.float64), np.asarray(mean_b, np.float64)
    cov_a, cov_b = np.asarray(cov_a, np.float64), np.asarray(cov_b, np.float64)
    if mean_a.ndim != 1 or mean_a.shape != mean_b.shape:
        raise ValueError(
            f"mean_a and mean_b: expected one shape [d], got {mean_a.shape} and {mean_b.shape}"
        )
    d = mean_a.shape[0]
    for name, cov in (("cov_a", cov_a), ("cov_b", cov_b)):
        if cov.shape != (d, d):
            raise ValueError(f"{name}: expected shape ({d}, {d}), got {cov.shape}")
        if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * max(1.0, np.abs(cov).max())):
            raise ValueError(f"{name}: expected a symmetric matrix")
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = root_a @ cov_b @ root_a
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh((inner + inner.T) / 2), 0)).sum()
    squared = np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace
    return float(max(squared, 0.0))


class Moments(NamedTuple):
    """Mean and scatter of a stream of features, merged batch by batch without loss of precision.

    count: examples seen.
    mean: shape [d], float64.
    scatter: shape [d, d], the sum of outer products of the deviations from the mean.
    """

    count: int
    mean: Float[np.ndarray, " d"]
    scatter: Float[np.ndarray, "d d"]

    @classmethod
    def empty(cls, d: int) -> Moments:
        """Nothing seen yet."""
        return cls(0, np.zeros(d), np.zeros((d, d)))

    def add(self, features: ArrayLike) -> Moments:
        """The moments after a further batch of shape [n, d]."""
        features = np.asarray(features, np.float64)
        d = self.mean.shape[0]
        if features.ndim != 2 or features.shape[1] != d:
            raise ValueError(f"features: expected shape [n, {d}], got {features.shape}")
        if not features.shape[0]:
            return self
        mean = features.mean(axis=0)
        deviations = features - mean
        return self.merge(Moments(len(features), mean, deviations.T @ deviations))

    def merge(self, other: Moments) -> Moments:
        """The moments of both streams together (Chan, Golub, LeVeque 1979)."""
        count = self.count + other.count
        if not count:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = np.outer(step, step) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def cov(self) -> Float[np.ndarray, "d d"]:
        """The covariance with denominator n - 1, as `numpy.cov` has it."""
        if self.count < 2:
            raise ValueError(f"cov: needs at least two examples, has {self.count}")
        return self.scatter / (self.count - 1)


def moments(
    features: ArrayLike,
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """Mean [d] and covariance [d, d] (denominator n - 1) of features [n, d], in float64."""
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[0] < 2:
        raise ValueError(f"features: expected shape [n, d] with n >= 2, got {features.shape}")
    result = Moments.empty(features.shape[1]).add(features)
    return result.mean, result.cov
