"""Several players that move at once from the same parameters: turns merged into one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import optax

from gan_mtl import table
from gan_mtl.types import Game, Objective, Optimizer, Outcome, Turn


def simultaneous(turns: Sequence[Turn], name: str = "all") -> Turn:
    """One turn that plays all of `turns` from the same parameters and on the same draws.

    Objectives are renamed `<turn>:<objective>`. Every turn keeps its optimizer, over its own groups
    together or by group as it was: what an optimizer takes over all that it moves (the global norm
    of a clipping) stays the norm of that turn's groups.

    Args:
        turns: with distinct names, no repeats, no period and no weighting, moving disjoint groups
            (a group that two turns move would need two optimizers).

    Raises:
        ValueError: by name, for turns that cannot move at once.
    """
    names = [turn.name for turn in turns]
    if len(set(names)) < len(names):
        raise ValueError(f"Turns that move at once need distinct names, got {names}.")
    owners: dict[str, str] = {}
    objectives: dict[str, Objective] = {}
    for turn in turns:
        if turn.repeats != 1 or turn.every != 1 or turn.weighting is not None:
            raise ValueError(
                f"Turn {turn.name!r} repeats, has a period or a weighting; turns that move at once "
                "have none of these."
            )
        for group in table.moved_groups(turn):
            if group in owners:
                raise ValueError(
                    f"Group {group!r} is moved by the turns {owners[group]!r} and {turn.name!r}; "
                    "at once only one of them can move it."
                )
            owners[group] = turn.name
        objectives.update({f"{turn.name}:{n}": row for n, row in turn.objectives.items()})

    def losses(variables, batch, context) -> Outcome:
        found, metrics = {}, {}
        for turn in turns:
            outcome = turn.losses(variables, batch, context)
            variables = outcome.variables
            found.update({f"{turn.name}:{n}": loss for n, loss in outcome.losses.items()})
            metrics.update({f"{turn.name}:{n}": loss for n, loss in outcome.metrics.items()})
        return Outcome(found, variables, metrics)

    return Turn(name, losses, objectives, _by_turn(turns))


def at_once(game: Game) -> Game:
    """The game with all its turns played at once."""
    return game._replace(turns=(simultaneous(game.turns),))


def _by_turn(turns: Sequence[Turn]) -> Optimizer:
    """Every turn's own optimizer, each seeing the groups that it would see alone."""
    optimizers: dict[Hashable, Optimizer] = {}
    chosen: dict[str, str] = {}  # by group, the name of its optimizer
    for turn in turns:
        for group in table.moved_groups(turn):
            if not isinstance(turn.optimizer, Mapping):
                chosen[group], optimizers[turn.name] = turn.name, turn.optimizer
            elif group in turn.optimizer:
                chosen[group] = f"{turn.name}:{group}"
                optimizers[chosen[group]] = turn.optimizer[group]
            else:
                raise ValueError(
                    f"Turn {turn.name!r} has no optimizer for the group {group!r}; it has "
                    f"{sorted(turn.optimizer)}."
                )
    return optax.partition(optimizers, lambda groups: {group: chosen[group] for group in groups})
