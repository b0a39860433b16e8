"""Precision, recall, density and coverage by nearest-neighbour balls.

Blocks of a fixed size: memory does not grow with the square of the number of samples. Distances are
squared Euclidean ones from matrix products of centred float64 features, so exact ties may fall
either way by rounding.

Reference:
    Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020;
    precision and recall after Kynkaanniemi et al., NeurIPS 2019 (who take `<=` and k = 3; here `<`
    as Naeem's).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike


class Prdc(NamedTuple):
    """precision: the share of *fakes* that lie in a ball of a real.
    recall: the share of *reals* that lie in a ball of a fake.
    density: how many balls of reals a fake lies in, over k (may exceed 1).
    coverage: the share of reals whose ball holds a fake.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: ArrayLike, fake: ArrayLike, k: int = 5, block: int = 1024) -> Prdc:
    """Precision, recall, density and coverage of generated features.

    A ball around a sample has its distance to the k-th nearest *other* sample of its own set as
    radius; inside is strictly (`<`).

    Args:
        real: features, shape [n, d], n > k.
        fake: features, shape [m, d], m > k.
        k: which neighbour gives the radius.
        block: rows and columns of a block of distances.
    """
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    for name, array in (("real", x), ("fake", y)):
        if array.ndim != 2:
            raise ValueError(f"{name}: expected features of shape [n, d], got {array.shape}")
        if not 1 <= k < len(array):
            raise ValueError(
                f"k: expected 1 to {len(array) - 1} with {len(array)} {name}s, got {k}"
            )
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real and fake: widths must be equal, got {x.shape[1]} and {y.shape[1]}")
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    radius_x, radius_y = _radii(x, k, block), _radii(y, k, block)

    balls: Int[np.ndarray, " m"] = np.zeros(len(y), int)  # of reals, around each fake
    recalled: Bool[np.ndarray, " n"] = np.zeros(len(x), bool)
    covered: Bool[np.ndarray, " n"] = np.zeros(len(x), bool)
    for rows, columns, distances in _blocks(x, y, block):
        inside = distances < radius_x[rows, None]
        balls[columns] += inside.sum(axis=0)
        covered[rows] |= inside.any(axis=1)
        recalled[rows] |= (distances < radius_y[None, columns]).any(axis=1)
    return Prdc(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def _blocks(
    a: np.ndarray, b: np.ndarray, block: int
) -> Iterator[tuple[slice, slice, Float[np.ndarray, "rows columns"]]]:
    """Squared distances, block by block, with the rows of `a` and `b` that they are between."""
    squares_a, squares_b = np.square(a).sum(axis=1), np.square(b).sum(axis=1)
    for i in range(0, len(a), block):
        for j in range(0, len(b), block):
            rows, columns = slice(i, i + block), slice(j, j + block)
            products = a[rows] @ b[columns].T
            distances = squares_a[rows, None] + squares_b[None, columns] - 2 * products
            yield rows, columns, np.maximum(distances, 0)


def _radii(a: np.ndarray, k: int, block: int) -> Float[np.ndarray, " n"]:
    """Squared distance of each row to its k-th nearest other row."""
    nearest = np.full((len(a), k), np.inf)
    for rows, columns, distances in _blocks(a, a, block):
        if rows == columns:
            np.fill_diagonal(distances, np.inf)
        candidates = np.concatenate([nearest[rows], distances], axis=1)
        nearest[rows] = np.partition(candidates, k - 1, axis=1)[:, :k]
    return nearest.max(axis=1)
