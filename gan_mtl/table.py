"""Questions about a turn's table that its rows alone answer: no arrays, no networks."""

from __future__ import annotations

import math

from jax import numpy as jnp

from gan_mtl.types import (
    Aggregator,
    Array,
    Coefficient,
    Game,
    Objective,
    Schedule,
    Turn,
    Weighting,
    group_of,
)


def entries(turn: Turn) -> tuple[str, ...]:
    """The entries (groups in roles) that the turn moves, in the order of first appearance."""
    return tuple(dict.fromkeys(e for row in turn.objectives.values() for e in row.entries))


def moved_groups(turn: Turn) -> tuple[str, ...]:
    """The groups that the turn moves."""
    return tuple(dict.fromkeys(group_of(entry) for entry in entries(turn)))


def movers(turn: Turn, group: str) -> tuple[str, ...]:
    """The objectives of the turn that move a group, in any role."""
    return tuple(
        name
        for name, row in turn.objectives.items()
        if any(group_of(entry) == group for entry in row.entries)
    )


def shared_groups(turn: Turn) -> tuple[str, ...]:
    """The groups that two or more objectives of the turn move: the columns of the Jacobian.

    Rows that are a `penalty` do not count.
    """

    def tasks(group: str) -> list[str]:
        return [name for name in movers(turn, group) if not turn.objectives[name].penalty]

    return tuple(group for group in moved_groups(turn) if len(tasks(group)) > 1)


def ascends(row: Objective) -> bool:
    """Whether the row has a negative entry."""
    return any((c.sign if isinstance(c, Schedule) else c) < 0 for c in row.entries.values())


def weighted(turn: Turn) -> tuple[str, ...]:
    """The objectives that enter the turn's weighting, in order; the others keep weight one.

    Lazy rows and penalties never enter. A loss weighting takes no ascended objective; a Gramian
    method takes the objectives that move a shared group.
    """
    if turn.weighting is None:
        return ()
    rows = turn.objectives.items()
    steady = [name for name, row in rows if row.every == 1 and not row.penalty]
    if isinstance(turn.weighting, Weighting) and not turn.weighting.needs_gramian:
        return tuple(name for name in steady if not ascends(turn.objectives[name]))
    shared = {name for group in shared_groups(turn) for name in movers(turn, group)}
    return tuple(name for name in steady if name in shared)


def num_batches(turn: Turn) -> int:
    """How many independent batches the turn's aggregator takes."""
    return turn.weighting.num_batches if isinstance(turn.weighting, Aggregator) else 1


def periods(game: Game) -> tuple[int, ...]:
    """The distinct periods above one of the game's lazy rows, turns and weights, rising."""
    found = {turn.every for turn in game.turns}
    found |= {row.every for turn in game.turns for row in turn.objectives.values()}
    found |= {turn.rows.every for turn in game.turns}
    return tuple(sorted(found - {1}))


def coefficient(value: Coefficient, step: Array, times: int = 1) -> Array:
    """The coefficient at a step, a float scalar, times the factor of a lazy row."""
    if isinstance(value, Schedule):
        return jnp.asarray(value.sign * times * value.value(step))
    return jnp.asarray(value * times, dtype=float)


def times(row: Objective, turn: Turn) -> int:
    """The factor of a lazy row: its turn is played so often between two plays of the row."""
    return math.lcm(row.every, turn.every) // turn.every


def render(game: Game) -> str:
    """The table of the game for people: a row per objective, a column per group in a role."""
    columns = tuple(dict.fromkeys(entry for turn in game.turns for entry in entries(turn)))
    lines = [["turn", "objective", *columns]]
    for turn in game.turns:
        for name, row in turn.objectives.items():
            cells = [_cell(row.entries[c]) if c in row.entries else "." for c in columns]
            lazy = f" (every {row.every}, times {times(row, turn)})" if row.every > 1 else ""
            lines.append([_label(turn), name + lazy, *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _label(turn: Turn) -> str:
    repeats = f" x{turn.repeats}" if turn.repeats > 1 else ""
    return f"{turn.name}{repeats}" + (f" (every {turn.every})" if turn.every > 1 else "")


def _cell(value: Coefficient) -> str:
    if isinstance(value, Schedule):
        return ("-" if value.sign < 0 else "") + value.text
    return f"{value:g}"
