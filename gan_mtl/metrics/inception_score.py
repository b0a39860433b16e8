r"""Inception score: how sure a classifier is of each sample, and how many classes it sees.

Reference:
    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016; Barratt and Sharma, "A
    Note on the Inception Score", 2018 (what it does not measure).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


class InceptionScore(NamedTuple):
    """mean and std over the splits (the population's deviation; it describes splits, not runs),
    their number, and the number of samples in all.
    """

    mean: float
    std: float
    splits: int
    count: int


def inception_score(
    predictions: ArrayLike,
    splits: int = 10,
    *,
    logits: bool = False,
    seed: int | None = None,
) -> InceptionScore:
    r""":math:`\exp(\mathbb{E}_x \mathrm{KL}(p(y|x) \,\Vert\, p(y)))`, the mean over splits.

    Between 1 and the number of classes k. :math:`p(y)` is the mean over the split. Convention of
    the original code: 50,000 samples in 10 consecutive splits; few samples score low, so a table
    names both numbers. The score of the 2015 Inception network takes its *logits without bias* over
    all 1008 outputs; that of another classifier is another metric, whose name and weights' hash
    belong to it.

    Consecutive splits are splits at random only if the order of the samples is: those of a
    conditional generator, sorted by class, score about 1 in every split. Draw labels at random or
    give a `seed` (torch-fidelity always shuffles).

    Args:
        predictions: class probabilities, rows that sum to 1, or logits; shape [n, k].
        splits: 1 to n.
        logits: whether `predictions` are logits.
        seed: of a shuffle before splitting; None leaves the order.

    Raises:
        ValueError: for another shape, values that are not finite, rows that are no distributions,
            or more splits than samples.
    """
    p = distributions(predictions, logits)
    if not 1 <= splits <= len(p):
        raise ValueError(f"splits: expected 1 to {len(p)}, the samples, got {splits}")
    if seed is not None:
        p = p[np.random.default_rng(seed).permutation(len(p))]
    bounds = [i * len(p) // splits for i in range(splits + 1)]
    scores = [
        np.exp(entropy(part.mean(axis=0)) - entropy(part).mean())
        for part in (p[a:b] for a, b in itertools.pairwise(bounds))
    ]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), splits, len(p))


def distributions(predictions: ArrayLike, logits: bool) -> Float[np.ndarray, "n k"]:
    """Checked rows that sum to 1, in float64, of probabilities or logits."""
    values = np.asarray(predictions, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"predictions: expected shape [n, k], got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("predictions: expected finite values, found inf or nan")
    if logits:
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)
    sums = values.sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if values.min() < 0 or abs(sums[worst] - 1) > 1e-2:
        raise ValueError(
            f"predictions: expected probabilities; row {worst} sums to {sums[worst]:.6g} and the "
            f"least value is {values.min():.6g}; of logits say logits=True"
        )
    return values / sums[:, None]


def entropy(p: Float[np.ndarray, "... k"]) -> Float[np.ndarray, ...]:
    """Over the last axis, in nats; 0 log 0 = 0."""
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
