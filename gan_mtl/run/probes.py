"""What can be read from features by a linear classifier: classes, or the task they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gan_mtl import data
from gan_mtl.data import Dataset, order

ITERATIONS = 300  # of L-BFGS, to be in the same place on every run
EXAMPLES = 1000  # images of a source, in either half of a probe


def linear_probe(
    features: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]],
    labels: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]],
) -> float:
    """The accuracy of logistic regression on standardised features, in [0, 1].

    Args:
        features: those that it is fitted to, and those that it is tested on.
        labels: of both.
    """
    flat = [np.asarray(x, np.float64).reshape(len(x), -1) for x in features]
    return float(logistic(flat[0], labels[0]).score(flat[1], labels[1]))


def logistic(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> Any:
    """Logistic regression on standardised features, fitted: a scikit-learn classifier."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=ITERATIONS))
    return probe.fit(features, labels)


def leakage(features_of: Callable[[str, np.ndarray], np.ndarray], dataset: Dataset) -> float:
    """How often a linear classifier tells from shared features which source an image is of.

    Of the test split of a joined data set, as many images of every source, half for the fit and
    half for the score: 1 / sources is chance. An untrained trunk is the level to compare with:
    images of different sets differ without any training.

    Args:
        features_of: `(source, uint8 images) -> features`, of one trunk that all sources share.

    Reference:
        Liu, Qiu, Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017, trains
        against such a classifier; here it only measures.
    """
    parts = [data.part(dataset, dataset.test, source.name) for source in dataset.sources]
    count = min(2 * EXAMPLES, *(part.num_examples for part in parts)) // 2
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for source, part in zip(dataset.sources, parts, strict=True):
        chosen = order.permutation(part.num_examples, 0, "probe")[: 2 * count]
        found = features_of(source.name, part.images[chosen])
        halves[0].append(found[:count])
        halves[1].append(found[count:])
    labels = np.repeat(np.arange(len(parts)), count)
    fitted, scored = (np.concatenate(half) for half in halves)
    return linear_probe((fitted, scored), (labels, labels))
