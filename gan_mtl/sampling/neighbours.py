"""Nearest training examples of samples: whether a generator has learnt its data by heart."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike


class Nearest(NamedTuple):
    """index: of the nearest training example, shape [n]; distance: to it, Euclidean, shape [n]."""

    index: Int[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def nearest(
    samples: ArrayLike,
    training: ArrayLike,
    features: Callable[[np.ndarray], ArrayLike] | None = None,
    block: int = 2048,
) -> Nearest:
    """The training example nearest to each sample.

    In float64 and in blocks: memory does not grow with n x m. Distances of pixels miss copies that
    are shifted by one: compare features as well, and print the distances of held-out reals beside.

    Args:
        samples: shape [n, ...].
        training: shape [m, ...]; the first of equals is taken (to rounding of the products).
        features: `[b, ...] -> [b, ...]`, applied block by block; None compares the values.
        block: examples of either side at once.

    Raises:
        ValueError: examples of unequal shapes, or no training example.
    """
    samples, training = np.asarray(samples), np.asarray(training)
    if samples.ndim < 2 or samples.shape[1:] != training.shape[1:] or not training.size:
        raise ValueError(
            "samples and training: expected [n, ...] and [m, ...] of one shape of examples, got "
            f"{samples.shape} and {training.shape}"
        )
    index, least = np.zeros(len(samples), int), np.full(len(samples), np.inf)
    for j in range(0, len(training), block):
        b = _rows(training[j : j + block], features)
        centre = b.mean(axis=0)
        for i in range(0, len(samples), block):
            a, rows = _rows(samples[i : i + block], features), slice(i, i + block)
            products = (a - centre) @ (b - centre).T
            found = (np.square(b - centre).sum(axis=1)[None] - 2 * products).argmin(axis=1)
            distances = np.sqrt(np.square(a - b[found]).sum(axis=1))
            closer = distances < least[rows]
            index[rows] = np.where(closer, j + found, index[rows])
            least[rows] = np.where(closer, distances, least[rows])
    return Nearest(index, least)


def _rows(
    values: np.ndarray, features: Callable[[np.ndarray], ArrayLike] | None
) -> Float[np.ndarray, "b d"]:
    found = np.asarray(values if features is None else features(values), np.float64)
    return found.reshape(len(values), -1)
