"""Looks for what is not finite, and says where: losses, weights of tasks, parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl import table
from gan_mtl.types import Game


class Broken(NamedTuple):
    """Something that is not finite: of which seed (by place), and the words for it."""

    seed: int
    what: str


def broken_values(game: Game, values: Mapping[str, np.ndarray], first: int) -> Broken | None:
    """The first loss, or weight, that is not finite where it is due.

    A weight is NaN where a task's gradient is not finite, whatever its loss was.

    Args:
        values: by name (`turn/objective`, `turn/weight/objective`), shape [steps, seeds].
        first: the number of the first step.
    """
    for turn, kind, objective, period in _due(game, values):
        name = f"{turn}/{objective}" if kind == "loss" else f"{turn}/weight/{objective}"
        for offset, seed in np.argwhere(~np.isfinite(values[name])):
            step = first + int(offset)
            if step % period == 0:
                where = f"turn {turn!r}, objective {objective!r}"
                return Broken(int(seed), f"Non-finite {kind} at step {step}: {where}")
    return None


def _due(game: Game, values: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for turn in game.turns:
        for name, row in turn.objectives.items():
            yield turn.name, "loss", name, math.lcm(row.every, turn.every)
            if f"{turn.name}/weight/{name}" in values:
                yield turn.name, "gradient", name, turn.every


def all_finite(params: Mapping[str, Any]) -> dict[str, jax.Array]:
    """By group, whether every parameter is finite; to be compiled."""
    return {
        group: jnp.all(jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]))
        for group, tree in params.items()
        if jax.tree.leaves(tree)
    }


def broken_parameters(game: Game, finite: Mapping[str, Any], step: int) -> str | None:
    """The words for groups that are not finite after a step, with the turns that move them."""
    broken = [group for group, good in finite.items() if not good]
    if not broken:
        return None
    turns = [t.name for t in game.turns if set(broken) & set(table.moved_groups(t))]
    return f"Non-finite parameters at step {step}: groups {broken}, moved in turns {turns}"
