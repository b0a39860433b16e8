"""How "fixed weights, tuned" of scenes_multitask came by its weights: a search over three losses.

The weights are those of tags, boxes and pixels with a mean of 1: equal ones, and each task's three
times that of the others, or a third of it. Every choice has the same steps and seed, and is scored
on 1,000 scenes carved out of the training split, by the mean of the three main scores; test scenes
are not looked at. The digits of a carved-out scene may stand in training scenes too
(`data.scenes`).

Run:    python -m experiments.scenes_tuning --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from experiments import scenes_multitask
from experiments.scenes_multitask import SCORES, TASKS, task_scores
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, chosen_arms
from gan_mtl.run.evaluate import Evaluation

CHOICES = ((1, 1, 1), (3, 1, 1), (1, 3, 1), (1, 1, 3), (1, 3, 3), (3, 1, 3), (3, 3, 1))


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Scores on the carved-out scenes."""
    assert e.dataset.validation is not None
    return task_scores(e, e.dataset.validation)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Every choice, the best mean of the main scores first."""
    rows = []
    for name, arm in chosen_arms(config).items():
        found = [tables.values(cells, name, SCORES[task][0]) for task in TASKS]
        if all(found):
            mean = {seed: float(np.mean([x[seed] for x in found])) for seed in found[0]}
            cells_of = [tables.mean_std(x, 100, 2) for x in (*found, mean)]
            rows.append((float(np.mean(list(mean.values()))), [arm.text, *cells_of]))
    rows.sort(key=lambda row: -row[0])
    header = ["tags : boxes : pixels", "macro F1 %", "mAP@.5 %", "mIoU %", "mean %"]
    title = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, [row for _, row in rows])}"


def arm_of(choice: tuple[int, ...]) -> Arm:
    """Weights in these proportions."""
    weights = tuple(3 * w / sum(choice) for w in choice)
    text = " : ".join(map(str, choice))
    return Arm(scenes_multitask.build, scenes_multitask.Settings(weights=weights), text)


CONFIG = replace(
    scenes_multitask.CONFIG,
    name="scenes_tuning",
    arms={"weights_" + "".join(map(str, choice)): arm_of(choice) for choice in CHOICES},
    evaluate=evaluate,
    tabulate=tabulate,
    validation=1_000,
    seed=100,
    relations_every=0,
    presets={
        "smoke": {**scenes_multitask.CONFIG.presets["smoke"], "only": ("weights_111",)},
        "cpu": {
            **{"steps": 500, "seeds": 1, "save_every": 500, "batch_size": 16},
            "about": "ten minutes on 2 CPU cores",
        },
        "paper": {"seeds": 2},
    },
)

if __name__ == "__main__":
    main(CONFIG)
