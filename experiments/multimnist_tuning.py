"""How "equal, tuned" of multimnist came by its weight: a search over the left digit's weight.

Sener & Koltun 2018 call it the grid search. Every weight has as many epochs and seeds, and is
scored on 5,000 images carved out of the training split; test images are not looked at. The digits
of a carved-out picture may stand in training pictures with other partners (`data.overlaid`).

Expected: more weight on the right digit, which is the harder one; not so. No paper prints weights.

Run:    python -m experiments.multimnist_tuning --data-dir DIR
Other:  python -m experiments.multimnist_tuning --data-dir DIR --data multi_fashion_mnist
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from experiments import multimnist
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config
from gan_mtl.run.evaluate import Evaluation, class_scores

LEFT = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Accuracies on the carved-out images."""
    assert e.dataset.validation is not None
    found: dict[str, Any] = {}
    for name in multimnist.SIDES:
        scores = class_scores(e, e.dataset.validation, head=name, target=name)
        found[f"{name}_validation_accuracy"] = scores[f"{name}_test_accuracy"]
    return found


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Every weight, the best mean of the two accuracies first."""
    rows = []
    for name, arm in config.arms.items():
        sides = [
            tables.values(cells, name, f"{side}_validation_accuracy") for side in multimnist.SIDES
        ]
        if all(sides):
            both = {seed: (sides[0][seed] + sides[1][seed]) / 2 for seed in sides[0]}
            cells_of = [tables.mean_std(found, 100, 2) for found in (*sides, both)]
            rows.append((float(np.mean(list(both.values()))), [arm.text, *cells_of]))
    rows.sort(key=lambda row: -row[0])
    header = ["left : right", "left %", "right %", "mean %"]
    return tables.markdown(header, [row for _, row in rows])


def text(left: float) -> str:
    """How the table names a weight."""
    return f"{left:.1f} : {1 - left:.1f}"


CONFIG = replace(
    multimnist.CONFIG,
    name="multimnist_tuning",
    arms={
        f"left_{round(100 * left)}": Arm(
            multimnist.build, multimnist.Settings("fixed", left=left), text(left)
        )
        for left in LEFT
    },
    evaluate=evaluate,
    tabulate=tabulate,
    validation=5_000,
    steps=702,
    seed=100,
    seeds=2,
    log_every=78,
    save_every=234,
    about="six minutes on 2 CPU cores",
    presets={
        "smoke": {
            "only": ("left_50",),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "batch_size": 16},
            "about": "a minute",
        },
        "cpu": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
