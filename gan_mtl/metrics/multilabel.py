"""Multi-label classification: an example bears any number of k labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics._shares import share
from gan_mtl.metrics.classification import Averages


class MultilabelReport(NamedTuple):
    """What a multi-label classifier gets right, by label and over all; all scores in [0, 1].

    precision, recall, f1: shape [k].
    support: shape [k], examples that bear each label.
    macro: plain means over all k labels (F1: the mean of the labels' F1).
    micro: from the counts summed over labels.
    exact_match: the share of examples whose every label is right (subset accuracy).
    hamming_accuracy: the share of right entries of [n, k]; one less the Hamming loss.
    examples: n. Without any, all scores are nan.
    """

    precision: Float[np.ndarray, " k"]
    recall: Float[np.ndarray, " k"]
    f1: Float[np.ndarray, " k"]
    support: Int[np.ndarray, " k"]
    macro: Averages
    micro: Averages
    exact_match: float
    hamming_accuracy: float
    examples: int


class MultilabelScores(NamedTuple):
    """Counts of a stream; the report depends neither on the batches nor on their order.

    hits: shape [k], examples that bear the label and are predicted to.
    support: shape [k], examples that bear it.
    predicted: shape [k], examples that are predicted to.
    exact: examples whose every label is right.
    examples: so far; errors number them from 0.
    """

    hits: Int[np.ndarray, " k"]
    support: Int[np.ndarray, " k"]
    predicted: Int[np.ndarray, " k"]
    exact: int
    examples: int

    @classmethod
    def empty(cls, num_labels: int) -> MultilabelScores:
        """No example yet, of `num_labels` labels."""
        if num_labels < 1:
            raise ValueError(f"num_labels: expected at least 1, got {num_labels}")
        return cls(*np.zeros((3, num_labels), np.int64), exact=0, examples=0)

    def add(self, labels: ArrayLike, predictions: ArrayLike) -> MultilabelScores:
        """The counts after a further batch.

        Args:
            labels: 0 or 1 (or bool), shape [n, k].
            predictions: 0 or 1 (or bool), shape [n, k]; not scores.

        Raises:
            ValueError: for another shape; by sample and label, for a value other than 0 and 1.
            TypeError: for numbers that are not whole.
        """
        k = len(self.hits)
        labels = _indicators(labels, "labels", k, self.examples)
        predictions = _indicators(predictions, "predictions", k, self.examples)
        if len(labels) != len(predictions):
            raise ValueError(
                f"labels and predictions: expected one each, got {len(labels)} and "
                f"{len(predictions)}"
            )
        return MultilabelScores(
            hits=self.hits + (labels & predictions).sum(axis=0),
            support=self.support + labels.sum(axis=0),
            predicted=self.predicted + predictions.sum(axis=0),
            exact=self.exact + int((labels == predictions).all(axis=1).sum()),
            examples=self.examples + len(labels),
        )

    def merge(self, other: MultilabelScores) -> MultilabelScores:
        """The counts of both streams."""
        if len(self.hits) != len(other.hits):
            raise ValueError(
                f"num_labels: expected equal ones, got {len(self.hits)} and {len(other.hits)}"
            )
        return MultilabelScores(
            hits=self.hits + other.hits,
            support=self.support + other.support,
            predicted=self.predicted + other.predicted,
            exact=self.exact + other.exact,
            examples=self.examples + other.examples,
        )

    def report(self, zero_division: float = 0.0) -> MultilabelReport:
        """Scores of all examples so far; `zero_division` as in `multilabel_report`."""
        nothing = zero_division if self.examples else np.nan

        def scores(hits: ArrayLike, support: ArrayLike, predicted: ArrayLike) -> list[np.ndarray]:
            h, s, p = map(np.asarray, (hits, support, predicted))
            return [share(h, p, nothing), share(h, s, nothing), share(2 * h, s + p, nothing)]

        precision, recall, f1 = scores(self.hits, self.support, self.predicted)
        micro = scores(self.hits.sum(), self.support.sum(), self.predicted.sum())
        wrong = int((self.support + self.predicted - 2 * self.hits).sum())
        n, entries = self.examples, self.examples * len(self.hits)
        return MultilabelReport(
            precision=precision,
            recall=recall,
            f1=f1,
            support=self.support,
            macro=Averages(float(precision.mean()), float(recall.mean()), float(f1.mean())),
            micro=Averages(*map(float, micro)),
            exact_match=self.exact / n if n else np.nan,
            hamming_accuracy=1 - wrong / entries if n else np.nan,
            examples=n,
        )


def multilabel_report(
    labels: ArrayLike, predictions: ArrayLike, zero_division: float = 0.0
) -> MultilabelReport:
    """Scores of a multi-label classifier, equal to scikit-learn's.

    Args:
        labels: 0 or 1 (or bool), shape [n, k], n and k at least 1.
        predictions: 0 or 1 (or bool), shape [n, k]; not scores.
        zero_division: what a share of nothing is: the precision of a label that was never
            predicted, the recall of one that no example bears, the F1 of one of which neither
            happens.

    Raises:
        ValueError: for another shape; by sample and label, for a value other than 0 and 1.
        TypeError: for numbers that are not whole.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"labels: expected 0 or 1 of shape [n, k], got {labels.shape}")
    return MultilabelScores.empty(labels.shape[1]).add(labels, predictions).report(zero_division)


def _indicators(array: ArrayLike, name: str, k: int, first: int) -> np.ndarray:
    """Shape [n, k] of bool; `first` is the number of the first sample."""
    array = np.asarray(array)
    if array.ndim != 2 or array.shape[1] != k:
        raise ValueError(f"{name}: expected 0 or 1 of shape [n, {k}], got {array.shape}")
    if array.dtype != bool and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(
            f"{name}: expected integers 0 or 1, got dtype {array.dtype}; compare scores with a "
            "threshold first"
        )
    i, j = np.nonzero((array != 0) & (array != 1))
    if len(i):
        raise ValueError(
            f"{name}: sample {first + i[0]}, label {j[0]}: expected 0 or 1, got {array[i[0], j[0]]}"
        )
    return array.astype(bool)
