r"""Tasks on shared features, no adversary: the baseline of everything else.

turn   objective  trunk  heads/class  heads/rotation
model  class          1            1               .
model  rotation       1            .               1
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.architectures import Architecture, hard_sharing
from gan_mtl.games.tasks import Task
from gan_mtl.types import (
    EXACT,
    Aggregator,
    Context,
    Game,
    Network,
    Objective,
    Optimizer,
    Outcome,
    Rows,
    Turn,
    Weighting,
    starting,
)


def multitask(
    trunk: Network | Architecture,
    tasks: tuple[Task, ...],
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    weighting: Weighting | Aggregator | None = None,
    rows: Rows = EXACT,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """Several tasks, one head each, played in one turn.

    Tasks may look at one batch entry, or each at its own with examples of its own, of any number
    (`Task(source="images/a", targets="labels/a")`); a task's loss is a mean over its own examples.

    Args:
        trunk: images to features, for hard parameter sharing (Caruana 1997), group `trunk`; or an
            architecture, made for the names of the tasks.
        tasks: one or more; a single one is the single-task model.
        optimizer: of all groups together, or one by group (tutorial T1: one Adam per head).
        weighting: how the tasks are put together; None is the plain sum. The architecture's own
            objectives are penalties and keep their coefficients.
        rows: how the weighting comes by the gradients; "features" needs hard sharing and tasks that
            all look at the same images as they are.
        ema: half-lives in examples, by group.

    Returns:
        A game with `predict[name]` for every task and `predict["features"]`, or
        `predict["features/<name>"]` where tasks have features of their own; and with what else an
        architecture can be asked (MTAN's masks).

    Raises:
        ValueError: for a task with a `fake_weight`, an architecture made for other tasks, rows of
            features that are not common.
    """
    names = tuple(task.name for task in tasks_lib.owning(tasks))
    plan = hard_sharing(names, trunk) if isinstance(trunk, Network) else trunk
    _check(plan, tasks, rows)
    own = dict(plan.objectives)

    def init(key, batch):
        tasks_lib.check_tasks(tasks, batch, *own)
        key_trunk, key_heads, key_pass = jax.random.split(key, 3)
        images = batch[tasks[0].source]
        groups = plan.init(key_trunk, images)
        context = Context(key_pass, jnp.zeros((), jnp.int32))
        found, _ = plan.apply(starting(groups), images, plan.tasks, context)
        return {**groups, **tasks_lib.init_heads(tasks, key_heads, found.features)}

    return Game(
        init,
        (
            Turn(
                "model",
                functools.partial(_losses, plan, tasks),
                _table(plan, tasks),
                optimizer,
                weighting,
                rows=rows,
            ),
        ),
        ema=ema or {},
        predict=_predictions(plan, tasks),
        frozen=plan.frozen,
    )


def _losses(plan: Architecture, tasks: tuple[Task, ...], variables, batch, context) -> Outcome:
    return losses_and_outputs(plan, tasks, variables, batch, context)[0]


def losses_and_outputs(
    plan: Architecture, tasks: tuple[Task, ...], variables, batch, context
) -> tuple[Outcome, dict[str, Any]]:
    """The turn's outcome, and what the head of every task said, for games that judge it further."""
    known, terms, variables = _represent(plan, tasks, variables, batch, context)
    common, tapped = tasks_lib.common_source(tasks), None
    if common and plan.common:
        tapped = variables.tap(next(iter(known[common].values())))
        known[common] = dict.fromkeys(known[common], tapped)

    def alone(owner, variables, images, context):
        """The features of a task that looks at images in a changed form."""
        seen, variables = plan.apply(variables, images, (owner,), context)
        terms.update({name: loss for name, loss in seen.losses.items() if name not in terms})
        return seen.features[owner], variables

    found, metrics, outputs = {}, {}, {}
    for task in tasks:
        owner = _owner(task)
        ready = {} if tasks_lib.changes(task) else {task.source: known[task.source][owner]}
        features = functools.partial(alone, owner)
        played, variables = tasks_lib.play(task, features, ready, variables, batch, context)
        found[task.name], outputs[task.name] = played.loss, played.outputs
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    return Outcome({**found, **terms}, variables, metrics, tapped), outputs


def _represent(plan: Architecture, tasks: tuple[Task, ...], variables, batch, context):
    """One pass over every batch entry that is looked at as it is.

    Returns:
        Features by entry and task, the architecture's own losses, the variables after it.
    """
    known, terms = {}, {}
    common = tasks_lib.common_source(tasks)
    for task in tasks:
        if tasks_lib.changes(task) or task.source in known:
            continue
        tag = context if common else context.fold(task.name)
        wanted = _looking_at(tasks, task.source)
        seen, variables = plan.apply(variables, batch[task.source], wanted, tag.fold("trunk"))
        known[task.source] = seen.features
        terms.update({name: loss for name, loss in seen.losses.items() if name not in terms})
    return known, terms, variables


def _owner(task: Task) -> str:
    """The task whose head, and whose features, the task asks."""
    return task.asks or task.name


def _looking_at(tasks: tuple[Task, ...], source: str) -> tuple[str, ...]:
    """The owners of features of a batch entry that is looked at as it is."""
    same = (t for t in tasks if t.source == source and not tasks_lib.changes(t))
    return tuple(dict.fromkeys(map(_owner, same)))


def _table(plan: Architecture, tasks: tuple[Task, ...]) -> dict[str, Objective]:
    rows = {
        task.name: Objective(dict.fromkeys((*plan.groups(_owner(task)), task.group), task.weight))
        for task in tasks
    }
    return {**rows, **plan.objectives}


def _predictions(plan: Architecture, tasks: tuple[Task, ...]):
    def features(name, variables, images, context):
        found, variables = plan.apply(variables, images, (name,), context)
        return found.features[name], variables

    predict = {}
    for task in tasks_lib.owning(tasks):
        asked = tasks_lib.predictions((task,), functools.partial(features, task.name))
        seen = "features" if plan.common else f"features/{task.name}"
        predict.update({seen: asked["features"], task.name: asked[task.name]})
    return {**predict, **plan.predict}


def _check(plan: Architecture, tasks: tuple[Task, ...], rows: Rows) -> None:
    for task in tasks:
        if task.fake_weight:
            raise ValueError(
                f"Task {task.name!r} has a fake_weight, but multitask() has no generator to play "
                "it: set fake_weight=0, or build a gan() or semi_supervised()."
            )
    names = [task.name for task in tasks_lib.owning(tasks)]
    if sorted(plan.tasks) != sorted(names):
        raise ValueError(
            f"The architecture is made for the tasks {list(plan.tasks)}, but the tasks with a head "
            f"are {names}: hand it these names."
        )
    if rows.of == "features" and not plan.common:
        raise ValueError(
            "Rows of 'features' need features that all tasks have in common (hard sharing); in "
            "this architecture each has its own: use rows of 'parameters'."
        )
