r"""Wasserstein distance guided representation learning: a critic on features, and a trunk that
shortens the distance which it finds.

    turn       objective         trunk  heads/class  critic
    critic xk  wasserstein           .            .      -1
    critic xk  gradient_penalty      .            .   gamma
    model      class                 1            1       .
    model      wasserstein      lambda            .       .

:math:`W = E_s f(h) - E_t f(h)`, of a critic whose slope the penalty holds at one.

Shen, Qu, Zhang, Yu, "Wasserstein Distance Guided Representation Learning for Domain Adaptation",
AAAI 2018, arXiv 1707.01217.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.players import Optimizers, check_no_batch_norm
from gan_mtl.games.tasks import Task
from gan_mtl.losses.wdgrl import critic_penalty
from gan_mtl.types import (
    Aggregator,
    Array,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Turn,
    Variables,
    Weighting,
)

WASSERSTEIN, PENALTY = "wasserstein", "gradient_penalty"


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    trunk: Network
    tasks: tuple[Task, ...]
    critic: Network
    domains: Domains


def wdgrl(
    trunk: Network,
    tasks: tuple[Task, ...],
    critic: Network,
    optimizers: Optimizers,
    *,
    domains: Domains,
    weight: Coefficient = 1.0,
    gamma: float = 10.0,
    critic_repeats: int = 5,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk, tasks, domains: as of `dann`; both domains have as many examples.
        critic: group `critic`, features to values [n], without BatchNorm.
        optimizers: `disc` of the critic's turn, `gen` of the model's.
        weight: lambda.
        gamma: of the gradient penalty.
        critic_repeats: k, runs of the critic's turn, each on its own slice of the batch.
        weighting: of the model's turn.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts every task and `features`.

    Raises:
        ValueError: at `init` for a critic with BatchNorm, unequal numbers of examples.
    """
    plan = _Plan(trunk, tasks, critic, domains)
    domains_lib.check_domains(domains, tasks)
    critic_rows = {
        WASSERSTEIN: Objective({"critic": -1.0}, signed=True),
        PENALTY: Objective({"critic": gamma}),
    }
    model_rows = {
        **domains_lib.task_rows(tasks),
        WASSERSTEIN: Objective({"trunk": weight}, signed=True),
    }
    critic_losses, model_losses = (functools.partial(f, plan) for f in (_critic, _model))
    return Game(
        functools.partial(_init, plan),
        (
            Turn("critic", critic_losses, critic_rows, optimizers.disc, repeats=critic_repeats),
            Turn("model", model_losses, model_rows, optimizers.gen, weighting),
        ),
        ema=ema or {},
        predict=domains_lib.predictions(trunk, tasks),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_critic = jax.random.split(key)
    domains_lib.check_batch(plan.domains, batch, paired=True)
    groups, hidden = domains_lib.init_tasks(
        plan.trunk, plan.tasks, plan.domains, key_base, batch, WASSERSTEIN
    )
    groups["critic"] = plan.critic.init(key_critic, hidden.reshape(hidden.shape[0], -1))
    check_no_batch_norm((PENALTY,), groups, ("critic",))
    return groups


def _critic(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = (batch[plan.domains.images[0]], batch[plan.domains.images[1]])
    tag = context.fold("trunk")
    hidden, variables = domains_lib.over_both(
        plan.trunk, "trunk", images, plan.domains, variables, tag
    )
    source, target = (jax.lax.stop_gradient(h.reshape(h.shape[0], -1)) for h in hidden)
    gap, variables = _gap(plan, (source, target), variables, context)

    def value(h: Array) -> Array:
        return variables.apply(plan.critic, "critic", h, context=context.fold("penalised"))[0]

    penalty = critic_penalty(value, source, target, context)
    return Outcome({WASSERSTEIN: Loss(gap), PENALTY: Loss(penalty)}, variables)


def _model(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    gap, variables = _gap(plan, found.hidden, variables, context)
    return Outcome({**found.losses, WASSERSTEIN: Loss(gap)}, variables, found.metrics)


def _gap(plan: _Plan, hidden: domains_lib.Pair, variables: Variables, context: Context):
    """f(h_s) - f(h_t), in pairs of examples."""
    flat = (hidden[0].reshape(hidden[0].shape[0], -1), hidden[1].reshape(hidden[1].shape[0], -1))
    tag = context.fold("critic")
    (source, target), variables = domains_lib.over_both(
        plan.critic, "critic", flat, plan.domains, variables, tag
    )
    return source - target, variables
