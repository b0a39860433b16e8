r"""A trunk with task heads, no adversary: the baseline of everything else.

turn   objective  trunk  heads/class  heads/rotation
model  class          1            1               .
model  rotation       1            .               1
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gan_mtl.games import tasks as tasks_lib
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
    trunk: Network,
    tasks: tuple[Task, ...],
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    weighting: Weighting | Aggregator | None = None,
    rows: Rows = EXACT,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """Hard parameter sharing: one trunk, one head per task, one turn (Caruana 1997).

    Args:
        trunk: images to features; group `trunk`.
        tasks: one or more; a single one is the single-task model.
        optimizer: of all groups together, or one by group (tutorial T1: one Adam per head).
        weighting: how the tasks are put together; None is the plain sum.
        rows: how the weighting comes by the gradients; "features" needs tasks that all look at the
            same images as they are.
        ema: half-lives in examples, by group.

    Returns:
        A game with `predict[name]` for every task and `predict["features"]`.

    Raises:
        ValueError: for a task with a `fake_weight`.
    """
    for task in tasks:
        if task.fake_weight:
            raise ValueError(
                f"Task {task.name!r} has a fake_weight, but multitask() has no generator to play "
                "it: set fake_weight=0, or build a gan() or semi_supervised()."
            )

    def features(variables, images, context):
        return variables.apply(trunk, "trunk", images, context=context)

    def init(key, batch):
        tasks_lib.check_tasks(tasks, batch)
        key_trunk, key_heads, key_pass = jax.random.split(key, 3)
        images = batch[tasks[0].source]
        groups = {"trunk": trunk.init(key_trunk, images)}
        hidden, _ = features(starting(groups), images, Context(key_pass, jnp.zeros((), jnp.int32)))
        return {**groups, **tasks_lib.init_heads(tasks, key_heads, hidden)}

    def losses(variables, batch, context):
        found, metrics, known = {}, {}, {}
        common = tasks_lib.common_source(tasks)
        if common is not None:
            hidden, variables = features(variables, batch[common], context.fold("trunk"))
            known[common] = variables.tap(hidden)
        for task in tasks:
            played, variables = tasks_lib.play(task, features, known, variables, batch, context)
            found[task.name] = played.loss
            if played.accuracy is not None:
                metrics[f"{task.name}_accuracy"] = played.accuracy
        return Outcome(found, variables, metrics, known.get(common))

    objectives = {t.name: Objective({"trunk": t.weight, t.group: t.weight}) for t in tasks}
    return Game(
        init,
        (Turn("model", losses, objectives, optimizer, weighting, rows=rows),),
        ema=ema or {},
        predict=tasks_lib.predictions(tasks, features),
    )
