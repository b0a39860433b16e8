"""One task of three has 1 % of its labels, the others all of theirs: what does sharing buy?

The scenes, trunk and heads of `scenes_multitask`. The scarce task sees as many labelled scenes as
`--labels` says, class-balanced by the largest digit and drawn by the seed, in batches of their own
(`labelled_images` and their targets); the other tasks see every training scene. For each task in
turn: alone with its few labels; the same with a trunk that the other two train as well, by the sum
and by UPGrad; and alone with every label, which is what there is to win. All have the same steps.

Expected: the scarcer the labels of a task, the more a shared trunk is worth to it. No paper has
these numbers; that the help is greatest where labels are few is the claim of Caruana 1997. Measured
(one seed, 1,500 steps, 200 labels, 25 minutes of a core), alone and with the shared trunk: tags
12 and 45 % of F1, boxes 16 and 24 % of mAP at 0.5, pixels 29 and 48 % of IoU.

Run:    python -m experiments.few_labels_tasks --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     40,000 steps, ten seeds: --preset paper (a GPU)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from experiments import scenes_multitask
from experiments.scenes_multitask import SCORES, TASKS, task_scores
from gan_mtl import games
from gan_mtl.games import Task, multitask
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.types import Game


@dataclass(frozen=True)
class Settings:
    """One arm."""

    scarce: str
    """The task whose labels are few."""
    shared: bool = True
    """Whether the other two train the trunk as well."""
    every_label: bool = False
    """Whether the task has all its labels after all."""
    weighting: str = ""
    """As of `scenes_multitask`."""


def tasks_of(settings: Settings, spec: Spec) -> tuple[Task, ...]:
    """The tasks of the arm, of which the scarce one looks at the labelled scenes."""
    return tuple(
        games.labelled(task) if task.name == settings.scarce and not settings.every_label else task
        for task in scenes_multitask.heads(base(settings), spec)
    )


def base(settings: Settings) -> scenes_multitask.Settings:
    """The arm of `scenes_multitask` that it is made like."""
    names = TASKS if settings.shared else (settings.scarce,)
    return scenes_multitask.Settings(names, settings.weighting)


def build(settings: Settings, spec: Spec) -> Game:
    """A trunk and the arm's tasks."""
    like = base(settings)
    return multitask(
        scenes_multitask.trunk_of(like),
        tasks_of(settings, spec),
        scenes_multitask.adam(like, spec.steps),
        weighting=scenes_multitask.weighting_of(like),
    )


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Scores of the arm's tasks on the test scenes."""
    return task_scores(e, e.dataset.test)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """The scarce task's scores by arm, and what sharing adds to the main one."""
    blocks = [f"{config.seeds} seeds, {config.steps} steps of {config.batch_size}"]
    for labels in config.labels:
        rows = []
        for name, arm in chosen_arms(config).items():
            task = arm.settings.scarce
            main_score, second = (tables.values(cells, name, s, labels) for s in SCORES[task])
            alone = tables.values(cells, f"{task}_alone", SCORES[task][0], labels)
            change = tables.paired(main_score, alone) if arm.settings.shared else None
            rows.append(
                [
                    arm.text,
                    tables.mean_std(main_score, 100, 1),
                    tables.mean_std(second, 100, 1),
                    "" if change is None else f"{100 * change.mean:+.1f}",
                    ""
                    if change is None
                    else f"{100 * change.low:+.1f} .. {100 * change.high:+.1f}",
                ]
            )
        header = ["arm", "main score %", "second %", "minus alone", "95 %"]
        blocks.append(f"{labels} labelled scenes\n\n{tables.markdown(header, rows)}")
    blocks.append(
        "Main and second score: "
        + "; ".join(f"{task}: {' and '.join(SCORES[task])}" for task in TASKS)
        + "."
    )
    return "\n\n".join(blocks)


def arms_of(task: str) -> dict[str, Arm]:
    """The rows of one scarce task."""
    return {
        f"{task}_alone": Arm(build, Settings(task, shared=False), f"{task}, few labels, alone"),
        f"{task}_shared": Arm(build, Settings(task), f"{task}, few labels, trunk shared"),
        f"{task}_upgrad": Arm(
            build, Settings(task, weighting="upgrad"), f"{task}, few labels, trunk shared, UPGrad"
        ),
        f"{task}_every": Arm(
            build, Settings(task, shared=False, every_label=True), f"{task}, every label, alone"
        ),
    }


CONFIG = replace(
    scenes_multitask.CONFIG,
    name="few_labels_tasks",
    arms={name: arm for task in TASKS for name, arm in arms_of(task).items()},
    evaluate=evaluate,
    tabulate=tabulate,
    labels=(200,),
    labelled_batch_size=32,
    relations_every=0,
    presets={
        "smoke": {
            "only": ("detection_alone", "detection_shared"),
            **{"data": "digit_scenes_small", "labels": (20,), "steps": 2, "seeds": 1},
            **{"batch_size": 4, "labelled_batch_size": 4, "log_every": 1, "save_every": 2},
            "about": "a minute",
        },
        "cpu": {**scenes_multitask.CONFIG.presets["cpu"], "labelled_batch_size": 16},
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
