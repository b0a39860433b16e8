"""Accuracy, precision, recall, F1 and the confusion matrix of a classifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike


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
    """Scores of a classifier, equal to scikit-learn's.

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
    if largest >= k:
        raise ValueError(f"num_classes: class {largest} occurs, but num_classes is {num_classes}")
    confusion = np.bincount(labels * k + predictions, minlength=k * k).reshape(k, k)
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)

    def share(part: np.ndarray, whole: np.ndarray) -> Float[np.ndarray, " k"]:
        return np.where(whole > 0, part / np.maximum(whole, 1), zero_division)

    precision, recall = share(hits, predicted), share(hits, support)
    f1 = share(2 * hits, support + predicted)
    right = float(hits.sum() / len(labels))
    return ClassificationReport(
        accuracy=right,
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        macro=Averages(float(precision.mean()), float(recall.mean()), float(f1.mean())),
        micro=Averages(right, right, right),
        confusion=confusion,
    )


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
