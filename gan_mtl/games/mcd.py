r"""Maximum classifier discrepancy: two heads find target examples apart from the source's.

    turn      objective    trunk  heads/class/1  heads/class/2
    classes   class/1          1              1              .
    classes   class/2          1              .              1
    disagree  class/1          .              1              .
    disagree  class/2          .              .              1
    disagree  discrepancy      .             -1             -1
    agree xk  discrepancy      1              .              .

The heads disagree about the target as much as the source's labels let them; the trunk then moves
the target to where they agree. `agree` is played k times, each on its own slice of the batch (the
authors' code takes the same examples k times); the other turns take the first slice.

Saito, Watanabe, Ushiku, Harada, "Maximum Classifier Discrepancy for Unsupervised Domain
Adaptation", CVPR 2018, arXiv 1712.02560.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.tasks import Task
from gan_mtl.losses.mcd import classifier_discrepancy
from gan_mtl.types import (
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Optimizer,
    Outcome,
    Turn,
    Variables,
)

DISCREPANCY = "discrepancy"


class _Plan(NamedTuple):
    """What the functions of all turns have in common."""

    trunk: Network
    tasks: tuple[Task, Task]
    domains: Domains


def mcd(
    trunk: Network,
    head: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    name: str = "class",
    weight: Coefficient = 1.0,
    repeats: int = 4,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk: images to features, group `trunk`.
        head: features to class logits; groups `heads/<name>/1` and `/2`, drawn apart.
        optimizer: of every turn, for all groups or one by group; every turn has a state of its own.
        domains: the two, and whether they are normalised together.
        name: of the classes; labels are `labels/<source>`.
        weight: of the discrepancy, in both turns that know it; 1 in the paper.
        repeats: k, 4 at most in the paper; a batch holds k times the examples of one pass.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts `<name>`, the sum of both heads' logits, each head, and `features`.
    """
    tasks = tuple(domains_lib.source_task(head, domains, name=f"{name}/{i}") for i in (1, 2))
    plan = _Plan(trunk, (tasks[0], tasks[1]), domains)
    domains_lib.check_domains(domains, tasks)
    heads = [task.group for task in tasks]
    labelled = {task.name: Objective({task.group: 1.0}) for task in tasks}
    apart = Objective(dict.fromkeys(heads, domains_lib.ascended(weight)))
    rows = {
        "classes": domains_lib.task_rows(tasks),
        "disagree": {**labelled, DISCREPANCY: apart},
        "agree": {DISCREPANCY: Objective({"trunk": weight})},
    }
    losses = (_class_losses, _disagreement, _agreement)
    turns = [
        Turn(turn, functools.partial(function, plan), rows[turn], optimizer)
        for turn, function in zip(rows, losses, strict=True)
    ]
    predict = domains_lib.predictions(trunk, tasks)
    summed = functools.partial(_summed, predict[tasks[0].name], predict[tasks[1].name])
    return Game(
        functools.partial(_init, plan),
        (turns[0], turns[1], turns[2]._replace(repeats=repeats)),
        ema=ema or {},
        predict={**predict, name: summed},
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    return domains_lib.init_tasks(plan.trunk, plan.tasks, plan.domains, key, batch, DISCREPANCY)[0]


def _summed(first, second, variables: Variables, images, context: Context):
    return first(variables, images, context) + second(variables, images, context)


def _class_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    hidden, variables = domains_lib.one_of(plan.trunk, 0, plan.domains, variables, batch, context)
    known = {plan.domains.images[0]: hidden}
    found, variables = domains_lib.heads_on(
        plan.trunk,
        plan.tasks,
        known,
        (hidden, hidden[:0]),  # no target in this turn
        variables,
        batch,
        context,
    )
    return Outcome(found.losses, variables, found.metrics)


def _disagreement(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    loss, variables = _discrepancy(plan, found.hidden[1], variables, context)
    return Outcome({**found.losses, DISCREPANCY: loss}, variables)


def _agreement(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    hidden, variables = domains_lib.one_of(plan.trunk, 1, plan.domains, variables, batch, context)
    loss, variables = _discrepancy(plan, hidden, variables, context)
    return Outcome({DISCREPANCY: loss}, variables)


def _discrepancy(plan: _Plan, hidden, variables: Variables, context: Context):
    """How far the heads are apart on the target's features."""
    first, variables = domains_lib.on_target(plan.tasks[0], hidden, variables, context)
    second, variables = domains_lib.on_target(plan.tasks[1], hidden, variables, context)
    return Loss(classifier_discrepancy(first, second)), variables
