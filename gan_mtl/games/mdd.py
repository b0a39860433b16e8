r"""Margin disparity discrepancy: a second classifier leaves the first on the target alone.

    turn   objective    trunk  heads/class  adversary
    model  class            1            1          .
    model  disparity  -lambda            .          1

The disparity is :math:`\gamma E_s[-\log \sigma_{h(x)}(f'(x))] + E_t[-\log(1 - \sigma_{h(x)}
(f'(x)))]` with h(x) the class that the main head predicts: the adversary descends it, the features
ascend it.

Zhang, Liu, Long, Jordan, "Bridging Theory and Algorithm for Domain Adaptation", ICML 2019, arXiv
1904.05801.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gan_mtl import table
from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.tasks import Task
from gan_mtl.losses.mdd import source_disparity, target_disparity
from gan_mtl.types import (
    Aggregator,
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
    Weighting,
)

DISPARITY = "disparity"


class _Plan(NamedTuple):
    """What builds and plays the game."""

    trunk: Network
    tasks: tuple[Task, ...]
    classes: Task
    adversary: Network
    domains: Domains
    weight: Coefficient
    gamma: float


def mdd(
    trunk: Network,
    tasks: tuple[Task, ...],
    adversary: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    classes: str = "class",
    weight: Coefficient = 0.1,
    gamma: float = 4.0,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk, tasks, optimizer, domains, weighting, ema: as of `dann`.
        adversary: f', features to as many logits as the main head, group `adversary`.
        classes: the name of the task whose head is f.
        weight: lambda; the authors' code lets it rise to 0.1, `dann_schedule(steps, highest=0.1)`.
        gamma: the margin's factor, of the source's part.

    Returns:
        A game that predicts every task and `features`.
    """
    domains_lib.check_domains(domains, tasks)
    if not gamma > 0:
        raise ValueError(f"gamma={gamma}: the margin is log(gamma); give a number above 0, e.g. 4.")
    task = domains_lib.conditioning(tasks, classes)
    plan = _Plan(trunk, tasks, task, adversary, domains, weight, gamma)
    entries = {"trunk": domains_lib.ascended(weight), "adversary": 1.0}
    rows = {**domains_lib.task_rows(tasks), DISPARITY: Objective(entries)}
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    return Game(
        functools.partial(_init, plan),
        (turn,),
        ema=ema or {},
        predict=domains_lib.predictions(trunk, tasks),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_adversary = jax.random.split(key)
    groups, hidden = domains_lib.init_tasks(
        plan.trunk, plan.tasks, plan.domains, key_base, batch, DISPARITY
    )
    return {**groups, "adversary": plan.adversary.init(key_adversary, hidden)}


def _losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    target, variables = domains_lib.on_target(plan.classes, found.hidden[1], variables, context)
    tag = context.fold("adversary")
    said, variables = domains_lib.over_both(
        plan.adversary, "adversary", found.hidden, plan.domains, variables, tag
    )
    loss = domains_lib.both(
        plan.gamma * source_disparity(found.outputs[plan.classes.name], said[0]),
        target_disparity(target, said[1]),
        context,
    )
    strength = Loss(table.coefficient(plan.weight, context.step))
    metrics = {**found.metrics, "lambda": strength}
    return Outcome({**found.losses, DISPARITY: loss}, variables, metrics)
