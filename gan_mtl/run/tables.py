"""From the scores of cells to a table: means, spreads, paired differences, markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Cells = Sequence[Mapping[str, Any]]  # {"arm", "labels", "seed", "scores": {...} | None}; "data"


class Difference(NamedTuple):
    """Mean paired difference over seeds, with its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float
    count: int


def values(
    cells: Cells, arm: str, score: str, labels: int | None = None, data: str | None = None
) -> dict[int, float]:
    """A score by seed, of the finished cells of an arm under a label count, on a fold."""
    return {
        cell["seed"]: cell["scores"][score]
        for cell in cells
        if cell["arm"] == arm
        and cell["labels"] == labels
        and cell.get("data") == data
        and cell["scores"] is not None
        and cell["scores"].get(score) is not None
    }


def mean_over(several: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """By seed, the mean of several scores (tasks, folds), of the seeds that all of them have."""
    seeds = set.intersection(*(set(found) for found in several)) if several else set()
    return {seed: float(np.mean([found[seed] for found in several])) for seed in sorted(seeds)}


def mean_std(found: Mapping[int, float], scale: float = 1.0, digits: int = 1) -> str:
    """`mean +- sample standard deviation` over seeds; the mean alone of one; "-" of none."""
    if not found:
        return "-"
    numbers = np.asarray(list(found.values()), np.float64) * scale
    if len(numbers) == 1:
        return f"{numbers[0]:.{digits}f}"
    return f"{numbers.mean():.{digits}f} ± {numbers.std(ddof=1):.{digits}f}"


def paired(a: Mapping[int, float], b: Mapping[int, float]) -> Difference | None:
    """a - b over the seeds that both have; None with fewer than two.

    The interval is mean +- t(0.975, n - 1) s / sqrt(n).
    """
    seeds = sorted(set(a) & set(b))
    if len(seeds) < 2:
        return None
    d = np.asarray([a[s] - b[s] for s in seeds], np.float64)
    half = float(stats.t.ppf(0.975, len(d) - 1)) * d.std(ddof=1) / math.sqrt(len(d))
    return Difference(float(d.mean()), float(d.mean() - half), float(d.mean() + half), len(d))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, padded so that it also reads as plain text."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(lines[0]), line(rule), *[line(row) for row in lines[1:]]])
