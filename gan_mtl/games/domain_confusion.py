r"""Domain confusion: a domain classifier, and features that leave it undecided.

    turn    objective   trunk  heads/class  domain
    domain  domain          .            .       1
    model   class           1            1       .
    model   confusion  lambda            .       .

The two objectives are of different shapes, so that neither is the other's negative: the trunk
descends the cross-entropy to a uniform answer. (The paper's soft labels, which need some labels of
the target, are left out.)

Tzeng, Hoffman, Darrell, Saenko, "Simultaneous Deep Transfer Across Domains and Tasks", ICCV 2015,
arXiv 1510.02192.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.nn import softplus

from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains, Pair
from gan_mtl.games.players import Optimizers
from gan_mtl.games.tasks import Task
from gan_mtl.losses.confusion import domain_confusion as confusion_of
from gan_mtl.types import (
    Aggregator,
    Batch,
    Coefficient,
    Context,
    Game,
    Network,
    Objective,
    Outcome,
    Turn,
    Variables,
    Weighting,
)

DOMAIN, CONFUSION = "domain", "confusion"


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    trunk: Network
    tasks: tuple[Task, ...]
    domain: Network
    domains: Domains


def domain_confusion(
    trunk: Network,
    tasks: tuple[Task, ...],
    domain: Network,
    optimizers: Optimizers,
    *,
    domains: Domains,
    weight: Coefficient = 0.01,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk, tasks, domain, domains: as of `dann`.
        optimizers: `disc` of the domain classifier's turn, `gen` of the model's.
        weight: lambda.
        weighting: of the model's turn.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts every task and `features`.
    """
    plan = _Plan(trunk, tasks, domain, domains)
    domains_lib.check_domains(domains, tasks)
    rows = {**domains_lib.task_rows(tasks), CONFUSION: Objective({"trunk": weight})}
    disc, model = (functools.partial(f, plan) for f in (_domain, _model))
    return Game(
        functools.partial(_init, plan),
        (
            Turn("domain", disc, {DOMAIN: Objective({DOMAIN: 1.0})}, optimizers.disc),
            Turn("model", model, rows, optimizers.gen, weighting),
        ),
        ema=ema or {},
        predict=domains_lib.predictions(trunk, tasks),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_domain = jax.random.split(key)
    groups, hidden = domains_lib.init_tasks(
        plan.trunk, plan.tasks, plan.domains, key_base, batch, CONFUSION
    )
    return {**groups, DOMAIN: plan.domain.init(key_domain, hidden)}


def _domain(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = (batch[plan.domains.images[0]], batch[plan.domains.images[1]])
    tag = context.fold("trunk")
    hidden, variables = domains_lib.over_both(
        plan.trunk, "trunk", images, plan.domains, variables, tag
    )
    (source, target), variables = _ask(plan, jax.lax.stop_gradient(hidden), variables, context)
    loss = domains_lib.both(softplus(-source), softplus(target), context)
    metrics = {"domain_accuracy": domains_lib.told_apart(source, target, context)}
    return Outcome({DOMAIN: loss}, variables, metrics)


def _model(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    (source, target), variables = _ask(plan, found.hidden, variables, context)
    loss = domains_lib.both(confusion_of(source), confusion_of(target), context)
    return Outcome({**found.losses, CONFUSION: loss}, variables, found.metrics)


def _ask(plan: _Plan, hidden: Pair, variables: Variables, context: Context):
    """Logits of "source" for the examples of both domains."""
    tag = context.fold(DOMAIN)
    return domains_lib.over_both(plan.domain, DOMAIN, hidden, plan.domains, variables, tag)
