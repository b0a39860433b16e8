r"""Domain alignment without an adversary: a distance between the two domains' features is a row.

    turn   objective   trunk  heads/class
    model  class           1            1
    model  alignment  lambda            .

With JAN the distance is of features and predicted classes together, and moves the head too.

Sun & Saenko, "Deep CORAL", ECCV workshop 2016; Long et al., "Learning Transferable Features with
Deep Adaptation Networks", ICML 2015; Long et al., "Deep Transfer Learning with Joint Adaptation
Networks", ICML 2017.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax.nn import softmax

from gan_mtl.games import domains as domains_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.tasks import Task
from gan_mtl.losses.coral import deep_coral
from gan_mtl.losses.mmd import DOUBLING, Gaussians, joint_mmd, multi_kernel_mmd
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
    Optimizer,
    Outcome,
    Turn,
    Variables,
    Weighting,
)

ALIGNMENT = "alignment"


class _Plan(NamedTuple):
    """What builds and plays the game.

    distance: `(features of the source, of the target, axis_name) -> scalar`; with `classes` of two
        tuples, features and class probabilities.
    signed: whether an estimate of it may be negative.
    """

    trunk: Network
    tasks: tuple[Task, ...]
    domains: Domains
    distance: Callable[..., Array]
    classes: Task | None = None
    signed: bool = False


def coral(
    trunk: Network,
    tasks: tuple[Task, ...],
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    weight: Coefficient = 1.0,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above with the distance of covariances, `losses.deep_coral`.

    Args:
        trunk: images to features (flattened for the distance), group `trunk`.
        tasks, optimizer, domains, weighting, ema: as of `dann`.
        weight: lambda; Deep CORAL sets it so that both losses are about equal at the end.

    Returns:
        A game that predicts every task and `features`.
    """
    plan = _Plan(trunk, tasks, domains, deep_coral)
    return _game(plan, optimizer, weight, weighting, ema)


def mmd(
    trunk: Network,
    tasks: tuple[Task, ...],
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    weight: Coefficient = 1.0,
    kernel: Gaussians = DOUBLING,
    unbiased: bool = False,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above with `losses.multi_kernel_mmd`; DAN has it at several layers, this at one.

    Args:
        kernel, unbiased: as of `losses.multi_kernel_mmd`.
        trunk, tasks, optimizer, domains, weight, weighting, ema: as of `coral`.
    """
    distance = functools.partial(multi_kernel_mmd, kernel=kernel, unbiased=unbiased)
    plan = _Plan(trunk, tasks, domains, distance, signed=unbiased)
    return _game(plan, optimizer, weight, weighting, ema)


def jan(
    trunk: Network,
    tasks: tuple[Task, ...],
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    domains: Domains,
    classes: str = "class",
    weight: Coefficient = 1.0,
    kernels: tuple[Gaussians, Gaussians] = (DOUBLING, DOUBLING),
    unbiased: bool = False,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above with `losses.joint_mmd` of features and class probabilities.

    Args:
        classes: the name of the task whose class probabilities are meant.
        kernels: of the features, of the probabilities.
        unbiased: as of `losses.joint_mmd`.
        trunk, tasks, optimizer, domains, weight, weighting, ema: as of `coral`.
    """
    task = domains_lib.conditioning(tasks, classes)
    distance = functools.partial(joint_mmd, kernels=kernels, unbiased=unbiased)
    plan = _Plan(trunk, tasks, domains, distance, task, unbiased)
    return _game(plan, optimizer, weight, weighting, ema)


def _game(plan: _Plan, optimizer, weight: Coefficient, weighting, ema) -> Game:
    domains_lib.check_domains(plan.domains, plan.tasks)
    moved = ("trunk",) if plan.classes is None else ("trunk", plan.classes.group)
    row = Objective(dict.fromkeys(moved, weight), signed=plan.signed)
    rows = {**domains_lib.task_rows(plan.tasks), ALIGNMENT: row}
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    return Game(
        functools.partial(_init, plan),
        (turn,),
        ema=ema or {},
        predict=domains_lib.predictions(plan.trunk, plan.tasks),
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    return domains_lib.init_tasks(plan.trunk, plan.tasks, plan.domains, key, batch, ALIGNMENT)[0]


def _losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    found, variables = domains_lib.play_tasks(
        plan.trunk, plan.tasks, plan.domains, variables, batch, context
    )
    source, target = (h.reshape(h.shape[0], -1) for h in found.hidden)
    if plan.classes is None:
        value = plan.distance(source, target, context.axis_name)
    else:
        logits, variables = domains_lib.on_target(plan.classes, found.hidden[1], variables, context)
        known = softmax(found.outputs[plan.classes.name])
        layers = (source, known), (target, softmax(logits))
        value = plan.distance(*layers, context.axis_name)
    return Outcome({**found.losses, ALIGNMENT: Loss(value)}, variables, found.metrics)
