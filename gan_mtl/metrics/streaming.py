"""Scores of a stream: what is kept while features and predictions arrive batch by batch.

Everything here is a value: `add` returns a new one. `Moments` (of `frechet`) is the third of the
kind. What is kept does not depend on where one batch ends and the next begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics.frechet import Moments
from gan_mtl.metrics.inception_score import InceptionScore, distributions, entropy


class Reservoir(NamedTuple):
    """A uniform random subset of a stream, for scores that need the features themselves.

    Every example draws a priority from the seed and its number in the stream; those with the
    smallest are kept, in the order in which they came. A stream of at most `capacity` examples is
    kept whole.

    items: shape [m, d], m <= capacity; in the dtype of the first batch.
    priorities: shape [m], in [0, 1).
    capacity: how many are kept at most.
    seen: examples so far.
    seed: of the priorities; streams that are to be merged need different ones.
    """

    items: Float[np.ndarray, "m d"]
    priorities: Float[np.ndarray, " m"]
    capacity: int
    seen: int
    seed: int

    @classmethod
    def empty(cls, capacity: int, seed: int = 0) -> Reservoir:
        """Nothing seen yet."""
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        return cls(np.zeros((0, 0)), np.zeros(0), capacity, 0, seed)

    def add(self, features: ArrayLike) -> Reservoir:
        """The reservoir after a further batch of shape [n, d]."""
        features = np.asarray(features)
        if features.ndim != 2 or (len(self.items) and features.shape[1] != self.items.shape[1]):
            width = self.items.shape[1] if len(self.items) else "d"
            raise ValueError(f"features: expected shape [n, {width}], got {features.shape}")
        bits = np.random.PCG64(self.seed)
        bits.advance(self.seen)
        drawn = np.random.Generator(bits).random(len(features))
        return self._kept(features, drawn, len(features))

    def merge(self, other: Reservoir) -> Reservoir:
        """A uniform subset of both streams together, of this one's capacity."""
        if self.seed == other.seed:
            raise ValueError(
                f"seed: both streams have {self.seed}, so their priorities are the same; give each "
                "stream its own"
            )
        if other.capacity < self.capacity and other.seen > other.capacity:
            raise ValueError(
                f"capacity: the other stream kept {other.capacity} of {other.seen}, too few for "
                f"{self.capacity} of both; give both one capacity"
            )
        return self._kept(other.items, other.priorities, other.seen)

    def _kept(self, items: np.ndarray, priorities: np.ndarray, seen: int) -> Reservoir:
        if len(self.items):
            items = np.concatenate([self.items, items]) if len(items) else self.items
            priorities = np.concatenate([self.priorities, priorities])
        keep = np.sort(np.argsort(priorities, kind="stable")[: self.capacity])
        return Reservoir(items[keep], priorities[keep], self.capacity, self.seen + seen, self.seed)


class PredictionSums(NamedTuple):
    """What the inception score needs of a stream whose length is known beforehand.

    sums: shape [splits, k], probabilities added up by split.
    entropies: shape [splits], the samples' entropies added up.
    counts: shape [splits].
    total: length of the stream.
    """

    sums: Float[np.ndarray, "splits k"]
    entropies: Float[np.ndarray, " splits"]
    counts: Int[np.ndarray, " splits"]
    total: int

    @classmethod
    def empty(cls, total: int, num_classes: int, splits: int = 10) -> PredictionSums:
        """Nothing seen yet of `total` samples."""
        if not 1 <= splits <= total:
            raise ValueError(f"splits: expected 1 to {total}, the samples, got {splits}")
        return cls(np.zeros((splits, num_classes)), np.zeros(splits), np.zeros(splits, int), total)

    def add(self, predictions: ArrayLike, *, logits: bool = False) -> PredictionSums:
        """The sums after a further batch, of probabilities or logits, shape [n, k]."""
        splits, k = self.sums.shape
        p = distributions(predictions, logits)
        seen = int(self.counts.sum())
        if p.shape[1] != k or seen + len(p) > self.total:
            raise ValueError(
                f"predictions: expected at most {self.total - seen} more of {k} classes, got shape "
                f"{p.shape}"
            )
        ends = np.arange(1, splits + 1) * self.total // splits
        split = np.searchsorted(ends, seen + np.arange(len(p)), side="right")
        member = (split[None] == np.arange(splits)[:, None]).astype(float)
        return self._replace(
            sums=self.sums + member @ p,
            entropies=self.entropies + member @ entropy(p),
            counts=self.counts + np.bincount(split, minlength=splits),
        )

    def score(self) -> InceptionScore:
        """As `inception_score` of all predictions, in the order of the stream."""
        seen = int(self.counts.sum())
        if seen != self.total:
            raise ValueError(f"score: expected {self.total} samples, {seen} have been added")
        marginals = self.sums / self.counts[:, None]
        scores = np.exp(entropy(marginals) - self.entropies / self.counts)
        return InceptionScore(float(scores.mean()), float(scores.std()), len(scores), seen)


def accumulate(
    features: Iterable[ArrayLike], capacity: int = 10_000, seed: int = 0
) -> tuple[Moments, Reservoir]:
    """Moments (Frechet distance) and a reservoir (kernel distance, PRDC) of a stream of features.

    Args:
        features: batches of shape [n, d], such as `(network(params, x) for x in batches)`: the
            network runs on the device, batch by batch, and only features come to the host.
        capacity: of the reservoir.
        seed: of the reservoir.
    """
    moments, kept = None, Reservoir.empty(capacity, seed)
    for batch in features:
        batch = np.asarray(batch)
        kept = kept.add(batch)
        moments = (Moments.empty(batch.shape[1]) if moments is None else moments).add(batch)
    if moments is None:
        raise ValueError("features: expected at least one batch, got none")
    return moments, kept
