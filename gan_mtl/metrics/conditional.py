"""Scores of class-conditional generators: Frechet distance by class, classification accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics.classification import ClassificationReport, classification_report
from gan_mtl.metrics.frechet import frechet_distance, moments


class IntraClassFrechet(NamedTuple):
    """mean: over classes, each counted alike; by_class: shape [k]; classes: shape [k], rising."""

    mean: float
    by_class: Float[np.ndarray, " k"]
    classes: Int[np.ndarray, " k"]


def intra_class_frechet(
    real: ArrayLike, real_labels: ArrayLike, fake: ArrayLike, fake_labels: ArrayLike
) -> IntraClassFrechet:
    """The mean over classes of the Frechet distance between the reals and the fakes of that class.

    It sees what the distance of all together does not: a generator that ignores its label, or that
    drops modes within a class. Few examples by class bias it upwards: print the counts.

    Args:
        real: features, shape [n, d].
        real_labels: shape [n].
        fake: features, shape [m, d].
        fake_labels: the classes that were asked for, shape [m]; the same classes as the reals'.

    Raises:
        ValueError: if lengths differ, the classes differ, or a class has fewer than two examples.

    Reference:
        Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018 (intra-FID: 5000 samples
        a class).
    """
    (x, a), (y, b) = _labelled(real, real_labels, "real"), _labelled(fake, fake_labels, "fake")
    classes = np.unique(a)
    if not np.array_equal(classes, np.unique(b)):
        raise ValueError(
            "real_labels and fake_labels: expected the same classes; only one side has "
            f"{sorted(set(a.tolist()) ^ set(b.tolist()))}"
        )
    for name, labels in (("real", a), ("fake", b)):
        values, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:
            few = values[counts.argmin()]
            raise ValueError(f"{name}: class {few} has one example; at least two are needed")
    found = np.array([frechet_distance(*moments(x[a == c]), *moments(y[b == c])) for c in classes])
    return IntraClassFrechet(float(found.mean()), found, classes)


def classification_accuracy_score(
    fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    fake: ArrayLike,
    fake_labels: ArrayLike,
    real: ArrayLike,
    real_labels: ArrayLike,
) -> ClassificationReport:
    """How well a classifier that was trained on *fakes* alone does on *reals*.

    Print beside it the score of the same `fit` on real training examples, as many as there are
    fakes: the number itself depends on the classifier. The report's `accuracy` is the score, its
    `recall` the score by class, which tells the classes that the generator misses.

    Args:
        fit: `(images, labels) -> classify`, where `classify(images) -> classes [n]`.
        fake: generated images, shape [m, ...].
        fake_labels: the classes that were asked for, shape [m].
        real: images that the generator has not seen, shape [n, ...].
        real_labels: shape [n].

    Reference:
        Ravuri & Vinyals, "Classification Accuracy Score for Conditional Generative Models", NeurIPS
        2019.
    """
    (x, a), (y, b) = _labelled(fake, fake_labels, "fake"), _labelled(real, real_labels, "real")
    predictions = np.asarray(fit(x, a)(y))
    return classification_report(b, predictions, int(max(a.max(), b.max(), predictions.max())) + 1)


def _labelled(values: ArrayLike, labels: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    values, labels = np.asarray(values), np.asarray(labels)
    if labels.shape != values.shape[:1] or not labels.size:
        raise ValueError(
            f"{name}_labels: expected one by example, shape ({len(values)},), got {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name}_labels: expected integer class numbers, got dtype {labels.dtype}")
    return values, labels
