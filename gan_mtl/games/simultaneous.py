"""Several players that move at once from the same parameters: turns merged into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gan_mtl import table
from gan_mtl.types import Objective, Outcome, Turn


def simultaneous(turns: Sequence[Turn], name: str = "all") -> Turn:
    """One turn that plays all of `turns` from the same parameters and on the same draws.

    Objectives are renamed `<turn>:<objective>`; every group keeps the optimizer of its turn.

    Args:
        turns: with a single optimizer each, no repeats, no period and no weighting, moving disjoint
            groups (a group that two turns move would need two optimizers).

    Raises:
        ValueError: by name, for turns that cannot move at once.
    """
    owners: dict[str, str] = {}
    optimizers, rows = {}, {}
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
            chosen = turn.optimizer
            optimizers[group] = chosen[group] if isinstance(chosen, Mapping) else chosen
        rows.update({f"{turn.name}:{n}": row for n, row in turn.objectives.items()})

    def losses(variables, batch, context) -> Outcome:
        found, metrics = {}, {}
        for turn in turns:
            outcome = turn.losses(variables, batch, context)
            variables = outcome.variables
            found.update({f"{turn.name}:{n}": loss for n, loss in outcome.losses.items()})
            metrics.update({f"{turn.name}:{n}": loss for n, loss in outcome.metrics.items()})
        return Outcome(found, variables, metrics)

    objectives: dict[str, Objective] = rows
    return Turn(name, losses, objectives, optimizers)
