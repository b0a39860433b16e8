r"""Adversarial shared-private multi-task learning: what all tasks share shall not tell the task.

    turn   objective    trunk  trunk/<a>  trunk/<b>  heads/<a>  heads/<b>  task
    model  <a>              1          1          .          1          .     .
    model  <b>              1          .          1          .          1     .
    model  difference   gamma      gamma      gamma          .          .     .
    model  task       -lambda          .          .          .          .     1

Every task k has examples of its own; its head sees the shared and its private features side by
side, :math:`[S_k, H_k]`. A classifier of tasks sees the shared ones alone, and the shared encoder
works against it (equation 11); `difference` is :math:`\sum_k \lVert S_k^\top H_k \rVert_F^2`
(equation 14). Neither needs a label, so a task may have examples without (-1).

Liu, Qiu, Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017, arXiv
1704.05742. Differs: every sum over a task's examples is a mean; the difference is the normalised
`losses.orthogonality` unless asked otherwise; the classifier's own entry is 1 (lambda there).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.domains import ascended
from gan_mtl.games.tasks import Task
from gan_mtl.losses.sharing import orthogonality
from gan_mtl.losses.tasks import cross_entropy
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
    starting,
)

DIFFERENCE, TASK = "difference", "task"


class _Plan(NamedTuple):
    """What builds and plays the game."""

    trunk: Network
    private: Network
    tasks: tuple[Task, ...]
    judge: Network
    normalise: bool


def asp_mtl(
    trunk: Network,
    private: Network,
    tasks: tuple[Task, ...],
    judge: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    lam: Coefficient = 0.05,
    gamma: Coefficient = 0.01,
    normalise: bool = True,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above; with `lam=0` and `gamma=0` it is the paper's plain shared-private model.

    Args:
        trunk: S, the shared encoder, images to features; group `trunk`.
        private: H, images to features; one group `trunk/<task>` a task.
        tasks: two or more, of examples of their own: `Task(name, head, source="images/a",
            targets="labels/a")`.
        judge: shared features to logits [n, tasks], group `task`.
        optimizer: of all groups, or one by group.
        lam: lambda, at least 0; 0 leaves a classifier that watches.
        gamma: of the difference; 0 leaves the row out.
        normalise: as of `losses.orthogonality`.
        weighting, ema: as of `multitask`.

    Returns:
        A game that predicts every task, `features` (the shared ones) and `private/<task>`. Metric:
        `task_accuracy` of the judge, every task counting alike; 1 / tasks is chance.

    Raises:
        ValueError: for one task alone, two of one source, or a task that changes its images or asks
            another's head; at `init` for a judge without a logit per task.
    """
    plan = _Plan(trunk, private, tasks, judge, normalise)
    _check(tasks)
    private_groups = [f"trunk/{task.name}" for task in tasks]
    rows = {
        t.name: Objective(dict.fromkeys(("trunk", own, t.group), t.weight))
        for t, own in zip(tasks, private_groups, strict=True)
    }
    if gamma != 0:
        entries = dict.fromkeys(("trunk", *private_groups), gamma)
        rows[DIFFERENCE] = Objective(entries, penalty=True)
    rows[TASK] = Objective({"trunk": ascended(lam), TASK: 1.0}, signed=True)
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    return Game(functools.partial(_init, plan), (turn,), ema=ema or {}, predict=_predictions(plan))


def _init(plan: _Plan, key: jax.Array, batch: Batch) -> dict[str, dict[str, Any]]:
    tasks_lib.check_tasks(plan.tasks, batch, DIFFERENCE, TASK)
    key_trunk, key_own, key_heads, key_judge, key_pass = jax.random.split(key, 5)
    images = batch[plan.tasks[0].source]
    groups = {"trunk": plan.trunk.init(key_trunk, images)}
    for task, own in zip(plan.tasks, jax.random.split(key_own, len(plan.tasks)), strict=True):
        groups[f"trunk/{task.name}"] = plan.private.init(own, images)
    context = Context(key_pass, jnp.zeros((), jnp.int32))
    (shared, own), variables = _encode(plan, plan.tasks[0], starting(groups), images, context)
    heads = tasks_lib.init_heads(plan.tasks, key_heads, jnp.concatenate([shared, own], axis=-1))
    judge = plan.judge.init(key_judge, shared)
    variables = starting({**groups, TASK: judge})
    logits, _ = variables.apply(plan.judge, TASK, shared, context=context)
    if logits.shape != (len(shared), len(plan.tasks)):
        raise ValueError(
            f"asp_mtl: judge gives shape {logits.shape[1:]} of an example; it needs a logit for "
            f"each of the {len(plan.tasks)} tasks: Head({len(plan.tasks)})."
        )
    return {**groups, **heads, TASK: judge}


def _losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    losses, metrics, overlap = {}, {}, jnp.zeros(())
    judged, right, shares = [], [], []
    for k, task in enumerate(plan.tasks):
        images = batch[task.source]
        (shared, own), variables = _encode(plan, task, variables, images, context)
        known = {task.source: jnp.concatenate([shared, own], axis=-1)}
        features = functools.partial(_both, plan, task)
        played, variables = tasks_lib.play(task, features, known, variables, batch, context)
        losses[task.name] = played.loss
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
        value = orthogonality(shared, own, context.axis_name, normalise=plan.normalise)
        overlap = overlap + value
        tag = context.fold(TASK).fold(task.name)
        logits, variables = variables.apply(plan.judge, TASK, shared, context=tag)
        judged.append(cross_entropy(logits, jnp.full(len(images), k)))
        right.append((logits.argmax(axis=-1) == k).astype(logits.dtype))
        shares.append(jnp.full(len(images), 1 / len(images), logits.dtype))
    mask = jnp.concatenate(shares)  # every task's examples count as much
    losses[DIFFERENCE] = Loss(overlap)
    losses[TASK] = Loss(len(plan.tasks) * jnp.concatenate(judged), mask)
    metrics["task_accuracy"] = Loss(jnp.concatenate(right), mask)
    return Outcome(losses, variables, metrics)


def _encode(
    plan: _Plan, task: Task, variables: Variables, images: Array, context: Context
) -> tuple[tuple[Array, Array], Variables]:
    """A task's shared and private features, flattened."""
    tag = context.fold("trunk").fold(task.name)
    shared, variables = variables.apply(plan.trunk, "trunk", images, context=tag)
    tag = context.fold("private").fold(task.name)
    own, variables = variables.apply(plan.private, f"trunk/{task.name}", images, context=tag)
    return (_flat(shared), _flat(own)), variables


def _both(
    plan: _Plan, task: Task, variables: Variables, images: Array, context: Context
) -> tuple[Array, Variables]:
    """What a task's head sees."""
    pair, variables = _encode(plan, task, variables, images, context)
    return jnp.concatenate(pair, axis=-1), variables


def _predictions(plan: _Plan) -> dict[str, Any]:
    first = plan.tasks[0]
    found = {"features": functools.partial(_features, plan, first, 0)}
    for task in plan.tasks:
        found[f"private/{task.name}"] = functools.partial(_features, plan, task, 1)
        found[task.name] = functools.partial(_logits, plan, task)
    return found


def _features(plan: _Plan, task: Task, which: int, variables: Variables, images, context: Context):
    return _encode(plan, task, variables, images, context)[0][which]


def _logits(plan: _Plan, task: Task, variables: Variables, images: Array, context: Context):
    both, variables = _both(plan, task, variables, images, context)
    return variables.apply(task.head, task.group, both, context=context.fold(task.name))[0]


def _flat(features: Array) -> Array:
    return features.reshape(features.shape[0], -1)


def _check(tasks: tuple[Task, ...]) -> None:
    sources = [task.source for task in tasks]
    if len(set(sources)) < max(len(sources), 2):
        raise ValueError(
            f"asp_mtl: tasks look at {sources}; give two or more, each at examples of its own."
        )
    for task in tasks:
        if tasks_lib.changes(task) or task.asks is not None:
            raise ValueError(
                f"asp_mtl: task {task.name!r} changes its images or asks another's head; every "
                "task here has one pass and a head of its own."
            )
