r"""Parzen-window log-likelihood: a Gaussian kernel at every generated sample.

Kept as history: tables of 2014 to 2016 have it, but it ranks models poorly. In 784 dimensions no
number of samples brings the estimate near the true likelihood, k-means centroids score above the
training data itself, and models with good samples may score below bad ones (Theis et al. 2016). So
never print it alone: the real data's own score, training images in the place of the samples with
their own sigma, belongs beside it.

Reference:
    Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014 (the protocol); Theis, van den
    Oord and Bethge, "A note on the evaluation of generative models", ICLR 2016.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

SIGMAS = tuple(float(s) for s in np.logspace(-1, 0, 10))  # the protocol's candidates


class ParzenScore(NamedTuple):
    """mean: log-likelihood of a test example, in nats, averaged.
    standard_error: of that mean *over test examples* (not over runs), as in the tables of 2014.
    sigma: the bandwidth.
    """

    mean: float
    standard_error: float
    sigma: float


def parzen_score(
    samples: ArrayLike,
    validation: ArrayLike,
    test: ArrayLike,
    sigmas: ArrayLike = SIGMAS,
    block: int = 1024,
) -> ParzenScore:
    """Goodfellow's protocol: sigma chosen on validation examples, mean log-likelihood on test ones.

    For MNIST: 10,000 samples, the first 1000 validation images, the 10,000 test images, pixels in
    [0, 1]. The standard error is the population's deviation over sqrt(n), as in the authors' code.

    Args:
        samples: shape [n, ...], flattened to [n, d].
        validation: shape [v, ...].
        test: shape [t, ...].
        sigmas: bandwidths to choose from.
        block: rows and columns of a block of distances.
    """
    sigma = choose_sigma(samples, validation, sigmas, block)
    values = parzen_log_likelihood(samples, test, sigma, block)
    return ParzenScore(float(values.mean()), float(values.std() / math.sqrt(len(values))), sigma)


def parzen_log_likelihood(
    samples: ArrayLike, test: ArrayLike, sigma: float, block: int = 1024
) -> Float[np.ndarray, " t"]:
    r""":math:`\log \frac{1}{n} \sum_j \mathcal{N}(x_i; s_j, \sigma^2 I)` of each test example.

    In float64, by log-sum-exp over blocks: memory does not grow with n x t, and nothing underflows.

    Args:
        samples: the kernels' centres, shape [n, ...], flattened to [n, d].
        test: shape [t, ...].
        sigma: the kernels' standard deviation, positive.
        block: rows and columns of a block of distances.

    Returns:
        Nats per example, shape [t].
    """
    return _log_likelihoods(samples, test, np.asarray([sigma]), "test", block)[0]


def choose_sigma(
    samples: ArrayLike, validation: ArrayLike, sigmas: ArrayLike = SIGMAS, block: int = 1024
) -> float:
    """The bandwidth with the highest mean log-likelihood of the validation examples.

    One pass over the distances serves all bandwidths. A choice at either end of `sigmas` says that
    the best one lies outside.

    Args:
        samples: shape [n, ...], flattened to [n, d].
        validation: shape [v, ...]; none of the test examples.
        sigmas: bandwidths to choose from, shape [s]; the first of equals wins.
        block: rows and columns of a block of distances.
    """
    candidates = np.asarray(sigmas, np.float64)
    values = _log_likelihoods(samples, validation, candidates, "validation", block)
    return float(candidates[values.mean(axis=1).argmax()])


def _log_likelihoods(
    samples: ArrayLike, points: ArrayLike, sigmas: np.ndarray, name: str, block: int
) -> Float[np.ndarray, "s t"]:
    """Log-likelihood of each point under each bandwidth."""
    s, x = _rows(samples, "samples"), _rows(points, name)
    if s.shape[1] != x.shape[1]:
        raise ValueError(
            f"samples and {name}: widths must be equal, got {s.shape[1]} and {x.shape[1]}"
        )
    if sigmas.ndim != 1 or not sigmas.size or not (sigmas > 0).all():
        raise ValueError(f"sigma: expected positive bandwidths, got {sigmas.tolist()}")
    centre = s.mean(axis=0)
    s, x = s - centre, x - centre
    squares, n, d = np.square(s).sum(axis=1), len(s), s.shape[1]
    results = np.empty((len(sigmas), len(x)))
    for i in range(0, len(x), block):
        rows = x[i : i + block]
        row_squares = np.square(rows).sum(axis=1)
        totals = np.full((len(sigmas), len(rows)), -np.inf)
        for j in range(0, n, block):
            distances = rows @ s[j : j + block].T
            distances *= -2
            distances += row_squares[:, None]
            distances += squares[None, j : j + block]
            np.maximum(distances, 0, out=distances)
            for k, sigma in enumerate(sigmas):
                totals[k] = np.logaddexp(totals[k], _log_sum_exp(distances * (-0.5 / sigma**2)))
        results[:, i : i + block] = totals
    constants = np.log(n) + d * np.log(sigmas * math.sqrt(2 * math.pi))
    return results - constants[:, None]


def _log_sum_exp(a: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
    """Over columns; overwrites `a`."""
    largest = a.max(axis=1)
    a -= largest[:, None]
    return largest + np.log(np.exp(a, out=a).sum(axis=1))


def _rows(values: ArrayLike, name: str) -> Float[np.ndarray, "n d"]:
    array = np.asarray(values, np.float64)
    if array.ndim < 2 or not array.size:
        raise ValueError(f"{name}: expected shape [n, ...] with examples, got {array.shape}")
    return array.reshape(len(array), -1)
