"""Precision, recall, density and coverage by nearest-neighbour balls.

Blocks of a fixed size: memory does not grow with the square of the number of samples. Distances are
squared Euclidean ones of centred features. Matrix products in float32 decide all that they can
decide, by a bound on their rounding; what is closer is computed again in float64, pair by pair (or
by a product in float64 where much is closer): the results of float64, in less time.
Ties are exact between features on a lattice, such as small integers; others fall by rounding.

Reference:
    Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
    NeurIPS 2019 (`<=`, k = 3); Naeem et al., "Reliable Fidelity and Diversity Metrics for
    Generative Models", ICML 2020 (`<`, k = 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

BLOCK = 2048
SPARE = 4  # neighbours kept beyond the k-th, so that rounding seldom leaves it in doubt
PAIRS = 1 << 22  # values of a batch of pairs


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


class PrecisionRecall(NamedTuple):
    """precision: the share of *fakes* that lie in a ball of a real.
    recall: the share of *reals* that lie in a ball of a fake.
    """

    precision: float
    recall: float


def prdc(
    real: ArrayLike,
    fake: ArrayLike,
    k: int = 5,
    block: int = BLOCK,
) -> Prdc:
    """Precision, recall, density and coverage of generated features.

    A ball around a sample has its distance to the k-th nearest *other* sample of its own set as
    radius; inside is strictly (`<`).

    Args:
        real: features, shape [n, d], n > k.
        fake: features, shape [m, d], m > k.
        k: which neighbour gives the radius.
        block: rows and columns of a block of distances.
    """
    x, y = _features(real, fake, k)
    balls, recalled, covered = _counts(x, y, k, block, closed=False)
    return Prdc(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def improved_precision_recall(
    real: ArrayLike,
    fake: ArrayLike,
    k: int = 3,
    block: int = BLOCK,
) -> PrecisionRecall:
    """Precision and recall as of Kynkaanniemi et al.: the border of a ball belongs to it (`<=`).

    The paper's protocol: 50,000 reals and fakes, VGG-16's second dense layer, k = 3. Otherwise as
    `prdc`, whose precision and recall with `<` differ only by ties.

    Args:
        real: features, shape [n, d], n > k.
        fake: features, shape [m, d], m > k.
        k: which neighbour, other than the sample itself, gives the radius.
        block: rows and columns of a block of distances.
    """
    x, y = _features(real, fake, k)
    balls, recalled, _ = _counts(x, y, k, block, closed=True)
    return PrecisionRecall(float((balls > 0).mean()), float(recalled.mean()))


class _Set(NamedTuple):
    """Features in both precisions, float32 squared norms, and the share of them that errs."""

    exact: Float[np.ndarray, "n d"]
    quick: Float[np.ndarray, "n d"]
    squares: Float[np.ndarray, " n"]
    rounding: float


def _features(real: ArrayLike, fake: ArrayLike, k: int) -> tuple[_Set, _Set]:
    """Both sets, checked, less a centre: in each coordinate the real value nearest to their mean.

    Unlike the mean itself it keeps features of a lattice on it. The scale, a power of two, changes
    nothing but keeps float32 from overflowing.
    """
    x, y = np.asarray(real), np.asarray(fake)
    for name, array in (("real", x), ("fake", y)):
        if array.ndim != 2:
            raise ValueError(f"{name}: expected features of shape [n, d], got {array.shape}")
        if not 1 <= k < len(array):
            raise ValueError(
                f"k: expected 1 to {len(array) - 1} with {len(array)} {name}s, got {k}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite features, found inf or nan")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real and fake: widths must be equal, got {x.shape[1]} and {y.shape[1]}")
    nearest = np.abs(x - x.mean(axis=0, dtype=np.float64)).argmin(axis=0)
    centre = x[nearest, np.arange(x.shape[1])].astype(np.float64)
    x, y = x - centre, y - centre
    scale = 2.0 ** -np.ceil(np.log2(max(np.abs(x).max(), np.abs(y).max(), 1e-300)))
    return _set(x * scale), _set(y * scale)


def _set(exact: Float[np.ndarray, "n d"]) -> _Set:
    squares = np.einsum("nd,nd->n", exact, exact)
    # Of a product of d terms: sqrt(d) with a safe factor (Higham & Mary 2019), and of its terms.
    rounding = 2 * (8 * np.sqrt(exact.shape[1]) + 10) * 2.0**-24
    return _Set(exact, exact.astype(np.float32), squares.astype(np.float32), rounding)


def _counts(
    x: _Set, y: _Set, k: int, block: int, closed: bool
) -> tuple[Int[np.ndarray, " m"], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Balls of reals around each fake; which reals lie in one of a fake; whose ball holds one."""
    radius_x, radius_y = _radii(x, k, block), _radii(y, k, block)
    doubt_x = x.rounding * (x.squares + y.squares.max())
    doubt_y = x.rounding * (y.squares + x.squares.max())
    inside = np.less_equal if closed else np.less
    n, m = len(radius_x), len(radius_y)
    balls, recalled, covered = np.zeros(m, int), np.zeros(n, bool), np.zeros(n, bool)
    for rows, columns, distances in _blocks(x, y, block):
        doubtful = _around(distances, radius_x[rows, None], doubt_x[rows, None])
        doubtful |= _around(distances, radius_y[None, columns], doubt_y[None, columns])
        distances = _settled(x, y, rows, columns, distances, doubtful)
        in_real = inside(distances, radius_x[rows, None])
        balls[columns] += in_real.sum(axis=0)
        covered[rows] |= in_real.any(axis=1)
        recalled[rows] |= inside(distances, radius_y[None, columns]).any(axis=1)
    return balls, recalled, covered


def _around(distances: np.ndarray, radius: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Which distances may lie on either side of the radius."""
    low, high = (radius - doubt).astype(np.float32), (radius + doubt).astype(np.float32)
    return (distances >= np.nextafter(low, -np.inf)) & (distances <= np.nextafter(high, np.inf))


def _settled(
    x: _Set, y: _Set, rows: slice, columns: slice, distances: np.ndarray, doubtful: np.ndarray
) -> Float[np.ndarray, "rows columns"]:
    """The distances in float64, the doubtful ones from the features in float64."""
    i, j = np.nonzero(doubtful)
    if len(i) > doubtful.size // 64:
        return _products(x.exact[rows], y.exact[columns])
    distances = distances.astype(np.float64)
    distances[i, j] = _pairs(x.exact[rows], y.exact[columns], i, j)
    return distances


def _blocks(
    a: _Set, b: _Set, block: int
) -> Iterator[tuple[slice, slice, Float[np.ndarray, "rows columns"]]]:
    """Squared distances in float32, block by block, with the rows of `a` and `b` they are between.

    Of a set with itself only blocks on the diagonal and above.
    """
    for i in range(0, len(a.quick), block):
        for j in range(i if a is b else 0, len(b.quick), block):
            rows, columns = slice(i, i + block), slice(j, j + block)
            distances = a.quick[rows] @ b.quick[columns].T
            distances *= -2
            distances += a.squares[rows, None]
            distances += b.squares[None, columns]
            yield rows, columns, np.maximum(distances, 0, out=distances)


def _products(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    """Squared distances by a matrix product in the precision of the features."""
    squares_a, squares_b = (np.einsum("nd,nd->n", c, c) for c in (a, b))
    return np.maximum(squares_a[:, None] + squares_b[None] - 2 * (a @ b.T), 0)


def _pairs(
    a: np.ndarray, b: np.ndarray, i: Int[np.ndarray, " p"], j: Int[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Squared distances between rows i of `a` and rows j of `b`, from their differences."""
    found, step = np.empty(len(i)), max(1, PAIRS // a.shape[1])
    for p in range(0, len(i), step):
        differences = a[i[p : p + step]] - b[j[p : p + step]]
        found[p : p + step] = np.einsum("pd,pd->p", differences, differences)
    return found


def _radii(s: _Set, k: int, block: int) -> Float[np.ndarray, " n"]:
    """Squared distance of each row to its k-th nearest other row."""
    n = len(s.exact)
    keep = min(k + SPARE, n - 1)
    nearest, index = np.full((n, keep), np.inf, np.float32), np.zeros((n, keep), int)
    for rows, columns, distances in _blocks(s, s, block):
        if rows == columns:
            np.fill_diagonal(distances, np.inf)
        else:
            nearest[columns], index[columns] = _nearest(
                nearest[columns], index[columns], distances.T, rows.start
            )
        nearest[rows], index[rows] = _nearest(nearest[rows], index[rows], distances, columns.start)
    exact = _pairs(s.exact, s.exact, np.repeat(np.arange(n), keep), index.ravel())
    radii = np.partition(exact.reshape(n, keep), k - 1, axis=1)[:, k - 1]
    if keep == n - 1:
        return radii
    others = nearest.max(axis=1) - s.rounding * (s.squares + s.squares.max())
    doubtful = np.flatnonzero((radii > others) & (radii > 0))
    for i in range(0, len(doubtful), 256):
        rows = doubtful[i : i + 256]
        distances = _products(s.exact[rows], s.exact)
        distances[np.arange(len(rows)), rows] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _nearest(
    known: Float[np.ndarray, "rows keep"],
    index: Int[np.ndarray, "rows keep"],
    distances: Float[np.ndarray, "rows columns"],
    start: int,
) -> tuple[Float[np.ndarray, "rows keep"], Int[np.ndarray, "rows keep"]]:
    """The smallest of the known and the new in each row, and the columns (from `start`) of them.

    Only distances below the largest known are looked at.
    """
    keep = known.shape[1]
    closer = distances < known.max(axis=1)[:, None]
    counts = closer.sum(axis=1)
    if counts.max() > distances.shape[1] // 8 and distances.shape[1] > keep:
        column = np.argpartition(distances, keep - 1, axis=1)[:, :keep]
        found, where = np.take_along_axis(distances, column, axis=1), start + column
    else:
        row, column = np.nonzero(closer)
        place = np.arange(len(row)) - np.repeat(counts.cumsum() - counts, counts)
        found = np.full((len(known), counts.max()), np.inf, known.dtype)
        where = np.zeros(found.shape, int)
        found[row, place], where[row, place] = distances[row, column], start + column
    values = np.concatenate([known, found], axis=1)
    columns = np.concatenate([index, where], axis=1)
    order = np.argpartition(values, keep - 1, axis=1)[:, :keep]
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(columns, order, axis=1)
