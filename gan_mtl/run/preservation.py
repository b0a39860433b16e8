"""Which checkpoints are kept: the latest, and the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Policy(NamedTuple):
    """Orbax's preservation policy of the latest `keep` steps and the one of the highest rank.

    Orbax's `max_to_keep` with `best_fn` deletes the newest checkpoint unless it is among the best.

    ranks: how good each step is; read anew at every decision.
    """

    keep: int
    ranks: Mapping[int, float]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """One answer for each of Orbax's records, which come in the order of their steps."""
        del context
        steps = [info.step for info in checkpoints]
        best = best_of(self.ranks, steps)
        return [step in steps[-self.keep :] or step == best for step in steps]


def rank(metrics: Mapping[str, float | None], *, name: str | None, mode: str) -> float:
    """The metric as a rank, the greater the better; -inf where it is not known (None)."""
    value = metrics.get(name) if name is not None else None
    if value is None:
        return -math.inf
    return value if mode == "max" else -value


def best_of(ranks: Mapping[int, float], steps: Sequence[int]) -> int | None:
    """The step of the highest rank, the latest of several; None where none is known."""
    known = [step for step in steps if ranks.get(step, -math.inf) > -math.inf]
    return max(known, key=lambda step: (ranks[step], step), default=None)
