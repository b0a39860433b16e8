"""Accuracy, precision, recall, F1 and the confusion matrix of a classifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics._shares import share


class Averages(NamedTuple):
    """Precision, recall and F1, averaged over classes in some way."""

    precision: float
    recall: float
    f1: float


class ClassificationReport(NamedTuple):
    """What a classifier gets right, by class and over all.

    confusion: shape [k, k]; row = true class, column = predicted class, counts.
    support: shape [k], examples of each true class.
    macro: plain means over all k classes (F1: the mean of the classes' F1).
    micro: from the summed counts; with one label per example all three are the accuracy.
    """

    accuracy: float
    precision: Float[np.ndarray, " k"]
    recall: Float[np.ndarray, " k"]
    f1: Float[np.ndarray, " k"]
    support: Int[np.ndarray, " k"]
    macro: Averages
    micro: Averages
    confusion: Int[np.ndarray, "k k"]


class ClassificationScores(NamedTuple):
    """Counts of a stream; the report depends neither on the batches nor on their order.

    confusion: shape [k, k]; row = true class, column = predicted class.
    """

    confusion: Int[np.ndarray, "k k"]

    @classmethod
    def empty(cls, num_classes: int) -> ClassificationScores:
        """No example yet, of classes 0 .. num_classes - 1."""
        if num_classes < 1:
            raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
        return cls(np.zeros((num_classes, num_classes), np.int64))

    def add(self, labels: ArrayLike, predictions: ArrayLike) -> ClassificationScores:
        """The counts after a further batch; arguments and errors as of `classification_report`."""
        labels, predictions = _classes(labels, predictions)
        k, largest = len(self.confusion), int(max(labels.max(), predictions.max()))
        if largest >= k:
            raise ValueError(f"num_classes: class {largest} occurs, but num_classes is {k}")
        found = np.bincount(labels * k + predictions, minlength=k * k)
        return ClassificationScores(self.confusion + found.reshape(k, k))

    def merge(self, other: ClassificationScores) -> ClassificationScores:
        """The counts of both streams."""
        k, others = len(self.confusion), len(other.confusion)
        if k != others:
            raise ValueError(f"num_classes: expected equal ones, got {k} and {others}")
        return ClassificationScores(self.confusion + other.confusion)

    def report(self, zero_division: float = 0.0) -> ClassificationReport:
        """Scores of all examples so far, nan without any; see `classification_report`."""
        hits = np.diag(self.confusion)
        support, predicted = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        nothing = zero_division if support.any() else np.nan
        precision, recall = share(hits, predicted, nothing), share(hits, support, nothing)
        f1 = share(2 * hits, support + predicted, nothing)
        right = float(share(hits.sum(), support.sum()))
        return ClassificationReport(
            accuracy=right,
            precision=precision,
            recall=recall,
            f1=f1,
            support=support,
            macro=Averages(float(precision.mean()), float(recall.mean()), float(f1.mean())),
            micro=Averages(right, right, right),
            confusion=self.confusion,
        )


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The share of examples whose predicted class is the label.

    Args:
        labels: true classes, shape [n], none hidden.
        predictions: predicted classes (not logits), shape [n].
    """
    labels, predictions = _classes(labels, predictions)
    return float((labels == predictions).mean())


def classification_report(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> ClassificationReport:
    """Scores of a classifier, equal to scikit-learn's with `labels=range(k)`.

    Args:
        labels: true classes 0 .. k - 1, shape [n], none hidden.
        predictions: predicted classes, shape [n].
        num_classes: k; None takes the largest class that occurs.
        zero_division: what a share of nothing is: the precision of a class that was never
            predicted, the recall of one that does not occur, the F1 of one of which neither
            happens.
    """
    labels, predictions = _classes(labels, predictions)
    largest = int(max(labels.max(), predictions.max()))
    k = largest + 1 if num_classes is None else num_classes
    return ClassificationScores.empty(k).add(labels, predictions).report(zero_division)


def _classes(labels: ArrayLike, predictions: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    for name, array in (("labels", labels), ("predictions", predictions)):
        if array.ndim != 1 or not array.size:
            remedy = f"; take {name}.argmax(axis=1)" if array.ndim == 2 else ""
            raise ValueError(
                f"{name}: expected class numbers of shape [n], got {array.shape}{remedy}"
            )
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"{name}: expected integer class numbers, got dtype {array.dtype}")
        if array.min() < 0:
            raise ValueError(f"{name}: class {array.min()} found; leave hidden labels out first")
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels and predictions: expected one each, got {len(labels)} and {len(predictions)}"
        )
    return labels, predictions
