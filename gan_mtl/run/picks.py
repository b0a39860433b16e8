"""Domain adaptation has three accuracies: the last step's, a label-free pick's, the oracle's.

A pick is of one evaluated checkpoint, of one arm or of several. `picked` chooses by what a
validator says of the unlabelled target; `oracle` by the target's test labels, which nobody has: it
is the ceiling of a choice, and is to be printed as such. `scores` is what an evaluation has to hold
for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from gan_mtl import data, metrics
from gan_mtl.data import Split, order
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.run import probes
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.run.tables import Cells

ACCURACY = "target_accuracy"  # of the target's test split
EXAMPLES = 1000  # of either domain's training part, that validators look at
BEST = {  # validator: 1 where higher is better, -1 where lower is
    "information": 1,
    "snd": 1,
    "entropy": -1,
    "weighted_risk": -1,
    "dev": -1,
    "source_accuracy": 1,
}


class Pick(NamedTuple):
    """A chosen checkpoint, and its accuracy on the target's test split."""

    arm: str
    step: int
    accuracy: float


def scores(
    e: Evaluation, source: str, target: str, *, head: str = "class", features: str = "features"
) -> dict[str, float]:
    """The target's test accuracy, and every validator's opinion, for the cells' evaluations.

    The validators see the target's training images without labels (by lot at most `EXAMPLES`), the
    source's training images, and the source's *test* split with its labels, which nothing trains
    on; see `metrics.validators`. The two risks weigh by a logistic regression of the domains on
    the features.

    Args:
        source, target: names of the two sources of a joined data set.
        head: the game's prediction that says the class of a target image.
        features: the one that the domains are told from.
    """
    test = data.part(e.dataset, e.dataset.test, target)
    held_out = data.part(e.dataset, e.dataset.test, source)
    seen = [_some(data.part(e.dataset, e.dataset.train, name)) for name in (source, target)]
    logits = e.predict(head, seen[1])
    of_source = e.predict(head, held_out.images)
    weights = _weights(
        e.predict(features, seen[0]),
        e.predict(features, seen[1]),
        e.predict(features, held_out.images),
    )
    losses = np.asarray(cross_entropy(jnp.asarray(of_source), jnp.asarray(held_out.labels)))
    return {
        ACCURACY: _accuracy(e.predict(head, test.images), test),
        "source_accuracy": _accuracy(of_source, held_out),
        "information": metrics.information_maximisation(logits),
        "entropy": metrics.mean_entropy(logits),
        "snd": metrics.soft_neighbourhood_density(softmax(logits.astype(np.float64), axis=1)),
        "weighted_risk": metrics.importance_weighted_risk(losses, weights),
        "dev": metrics.deep_embedded_validation(losses, weights),
    }


def picked(
    cells: Cells,
    arms: Sequence[str],
    by: str = "information",
    *,
    labels: int | None = None,
    fold: str | None = None,
) -> dict[int, Pick]:
    """By seed, the checkpoint of these arms that a validator likes best; no label is read.

    Ties go to the first arm, and there to the earliest step.

    Args:
        cells: of a study whose evaluations hold `scores`.
        arms: one for a choice of its checkpoint, several for one of the method too. Seeds that an
            arm lacks are left out, as the choice would be another.
        by: a validator of `BEST`.
        labels, fold: whose cells.

    Raises:
        ValueError: for another validator, or evaluations that do not hold it or where it is not
            finite, by arm and step.
    """
    if by not in BEST:
        raise ValueError(f"by={by!r}: the validators are {', '.join(BEST)}.")
    return _best(cells, arms, by, BEST[by], labels, fold)


def oracle(
    cells: Cells, arms: Sequence[str], *, labels: int | None = None, fold: str | None = None
) -> dict[int, Pick]:
    """By seed, the checkpoint that the target's *test labels* like best: a ceiling, not a result.

    Args:
        cells, arms, labels, fold: as of `picked`.
    """
    return _best(cells, arms, ACCURACY, 1, labels, fold)


def chance(
    cells: Cells, arms: Sequence[str], *, labels: int | None = None, fold: str | None = None
) -> dict[int, float]:
    """By seed, what a blind choice of arm and checkpoint has in the mean: a validator's control.

    Args:
        cells, arms, labels, fold: as of `picked`.
    """
    by_arm = [dict(_lines(cells, arm, labels, fold)) for arm in arms]
    seeds = set.intersection(*map(set, by_arm)) if by_arm else set()
    return {
        seed: float(np.mean([np.mean([x[ACCURACY] for x in found[seed]]) for found in by_arm]))
        for seed in sorted(seeds)
    }


def last(
    cells: Cells, arm: str, *, labels: int | None = None, fold: str | None = None
) -> dict[int, Pick]:
    """By seed, the last step of an arm.

    Args:
        cells, arm, labels, fold: as of `picked`.
    """
    found = {seed: lines[-1] for seed, lines in _lines(cells, arm, labels, fold)}
    return {seed: _pick(arm, line) for seed, line in found.items()}


def accuracies(picks: Mapping[int, Pick]) -> dict[int, float]:
    """The picks' accuracies by seed, as tables take them."""
    return {seed: pick.accuracy for seed, pick in picks.items()}


def _best(cells: Cells, arms: Sequence[str], score: str, sign: int, labels, fold):
    by_arm = {arm: dict(_lines(cells, arm, labels, fold)) for arm in arms}
    seeds = set.intersection(*(set(found) for found in by_arm.values())) if by_arm else set()
    chosen = {}
    for seed in sorted(seeds):
        best = -math.inf
        for arm, found in by_arm.items():
            for line in found[seed]:
                value = sign * _score(line, score, arm)
                if value > best:
                    best, chosen[seed] = value, _pick(arm, line)
    return chosen


def _lines(
    cells: Cells, arm: str, labels: int | None, fold: str | None
) -> Iterator[tuple[int, Sequence[Mapping[str, Any]]]]:
    """Seed and evaluations, in the order of steps, of an arm's finished cells."""
    for cell in cells:
        place = (cell["arm"], cell["labels"], cell.get("data"))
        if place == (arm, labels, fold) and cell["scores"] is not None:
            yield cell["seed"], cell.get("evaluations") or [cell["scores"]]


def _score(line: Mapping[str, Any], score: str, arm: str) -> float:
    if score not in line:
        raise ValueError(
            f"{arm}, step {line.get('step')}: the evaluation has no {score!r}, it has "
            f"{sorted(line)}; let the experiment's `evaluate` return `picks.scores`."
        )
    value = line[score]
    if value is None or not math.isfinite(value):
        raise ValueError(
            f"{arm}, step {line.get('step')}: {score!r} is {value}, which no choice passes over; "
            "choose by another validator, or leave the arm out."
        )
    return value


def _pick(arm: str, line: Mapping[str, Any]) -> Pick:
    return Pick(arm, line["step"], _score(line, ACCURACY, arm))


def _some(split: Split) -> np.ndarray:
    """Images by lot, without their labels."""
    return split.images[order.permutation(split.num_examples, 0, "validators")[:EXAMPLES]]


def _weights(source: np.ndarray, target: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Importance weights of the held-out source's features, by a classifier of the domains."""
    features = [np.asarray(x, np.float64).reshape(len(x), -1) for x in (source, target, held_out)]
    is_source = np.repeat([1, 0], [len(source), len(target)])
    classifier = probes.logistic(np.concatenate(features[:2]), is_source)
    logits = classifier.decision_function(features[2])
    return metrics.importance_weights(logits, len(source), len(target))


def _accuracy(logits: np.ndarray, split: Split) -> float:
    return metrics.accuracy(split.labels, logits.argmax(axis=-1))
