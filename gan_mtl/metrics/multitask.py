"""Multi-task scores: relative change against single tasks, mean rank, hypervolume of a front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def relative_changes(
    values: ArrayLike, baseline: ArrayLike, higher_is_better: Sequence[bool]
) -> np.ndarray:
    """By how much every metric is worse than the baseline's, in percent of that: shape [metrics].

    Negative is better, whichever way the metric points.

    Args:
        values: of the multi-task network, shape [metrics].
        baseline: of the single-task networks, trained by the same code with the same budget.
        higher_is_better: by metric: True for an accuracy, False for an error.
    """
    values, baseline = np.asarray(values, np.float64), np.asarray(baseline, np.float64)
    if values.ndim != 1 or not values.shape == baseline.shape == np.shape(higher_is_better):
        raise ValueError(
            "values, baseline and higher_is_better: expected one entry per metric, got shapes "
            f"{values.shape}, {baseline.shape} and {np.shape(higher_is_better)}"
        )
    if not (baseline > 0).all():
        raise ValueError(f"baseline: expected metrics > 0, got {baseline}")
    worse = np.where(np.asarray(higher_is_better), -1.0, 1.0)
    return 100 * worse * (values - baseline) / baseline


def delta_m(
    values: ArrayLike,
    baseline: ArrayLike,
    higher_is_better: Sequence[bool],
    tasks: Sequence[int | str] | None = None,
) -> float:
    """Delta-m: the mean relative change against single-task training, in percent; lower is better.

    Two numbers are published under this name, and they rank methods differently. Without `tasks`
    it is the mean over *metrics* (Nash-MTL, FAMO and after): a task with five metrics counts five
    times. With `tasks` it is the mean over tasks of the mean over the task's metrics (Maninis et
    al. 2019, LibMTL, which print it with the other sign).

    Args:
        values, baseline, higher_is_better: as of `relative_changes`.
        tasks: by metric, the task that it belongs to.

    Example:
        >>> round(delta_m([0.9, 1.1], [1.0, 1.0], [True, False]), 6)
        10.0
    """
    changes = relative_changes(values, baseline, higher_is_better)
    if tasks is None:
        return float(changes.mean())
    if len(tasks) != len(changes):
        raise ValueError(f"tasks: expected {len(changes)} names, one per metric, got {list(tasks)}")
    return float(np.mean(list(task_means(changes, tasks).values())))


def task_means(values: ArrayLike, tasks: Sequence[int | str]) -> dict[int | str, float]:
    """The mean of each task's metrics, by task, in the order of first appearance.

    Args:
        values: relative changes or ranks, shape [metrics].
        tasks: by metric, the task that it belongs to.
    """
    values = np.asarray(values, np.float64)
    return {
        task: float(np.mean([v for v, t in zip(values, tasks, strict=True) if t == task]))
        for task in dict.fromkeys(tasks)
    }


def mean_rank(values: ArrayLike, higher_is_better: Sequence[bool]) -> np.ndarray:
    """Each method's rank, 1 the best, averaged over the metrics: shape [methods].

    Equal values share the mean of their ranks. It depends on which methods are in the list: compare
    it within one table only.

    Args:
        values: shape [methods, metrics].
        higher_is_better: by metric.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] != len(higher_is_better):
        raise ValueError(
            f"values: expected shape [methods, {len(higher_is_better)}], one column per entry of "
            f"higher_is_better, got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("values: expected finite metrics; leave out methods that have none")
    cost = np.where(np.asarray(higher_is_better), -values, values)
    other, own = cost[None], cost[:, None]
    ranks = 1 + (other < own).sum(axis=1) + ((other == own).sum(axis=1) - 1) / 2
    return ranks.mean(axis=1)


def hypervolume_2d(
    points: ArrayLike, reference: Sequence[float], *, maximise: bool = False
) -> float:
    """The area that a set of points dominates, bounded by a reference point; higher is better.

    Points that do not dominate the reference add nothing.

    Args:
        points: losses (or accuracies) of two tasks, shape [n, 2].
        reference: a point worse than all that count, e.g. (2, 2) for two cross entropies.
        maximise: True for accuracies, with the reference below them.

    Example:
        >>> hypervolume_2d([[0.0, 1.0], [1.0, 0.0]], (2.0, 2.0))
        3.0
    """
    points, corner = np.asarray(points, np.float64), np.asarray(reference, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or corner.shape != (2,):
        raise ValueError(
            "points and reference: expected shapes [n, 2] and [2], got "
            f"{points.shape} and {corner.shape}"
        )
    gains = points - corner if maximise else corner - points
    area, height = 0.0, 0.0
    for width, gain in sorted(gains[(gains > 0).all(axis=1)].tolist(), reverse=True):
        if gain > height:
            area += width * (gain - height)
            height = gain
    return area
