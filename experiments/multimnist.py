"""MultiMNIST: two digits in one picture, two classifications, every weighting on one network.

Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, table 3: the
LeNet, batches of 256, 100 epochs. The paper has SGD with momentum, the rate halved every 30 epochs
and chosen of six by validation accuracy (appendix C.1); its code multiplies the rate by 0.85 every
10 epochs and leaves optimizer and rate to a file that is not there. Here: Adam at 0.001 and the
code's 0.85. The pictures are built by seed from MNIST (their build is random too); the manifest's
hash names them.

Expected (accuracy left / right, the paper's): single task 97.23 / 95.90, uniform 96.46 / 94.99,
Kendall 96.47 / 95.29, GradNorm 96.27 / 94.84, MGDA-UB 97.26 / 95.90.

Run:    python -m experiments.multimnist --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     100 epochs: --preset paper
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optax

from gan_mtl import metrics, mtl, nets
from gan_mtl.games import Task, multitask
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec
from gan_mtl.run.evaluate import Evaluation, class_scores
from gan_mtl.types import Aggregator, Game, Rows, Weighting

SIDES = ("left", "right")
PAPER = {
    "single": (97.23, 95.90),
    "equal": (96.46, 94.99),
    "uncertainty": (96.47, 95.29),
    "gradnorm": (96.27, 94.84),
    "mgda_ub": (97.26, 95.90),
}


@dataclass(frozen=True)
class Settings:
    """One arm."""

    weighting: str = "equal"
    """A factory of gan_mtl.mtl with its own defaults, or "fixed"."""
    tasks: tuple[str, ...] = SIDES
    left: float = 0.5
    """Weight of the left digit under "fixed"; the right one has the rest."""
    features: bool = False
    """Gradients of the features in place of the parameters (MGDA-UB)."""
    learning_rate: float = 1e-3
    epochs_per_drop: float = 10.0
    """Of 100; every one multiplies the learning rate by 0.85."""


def weighting_of(settings: Settings) -> Weighting | Aggregator | None:
    """What puts the tasks together."""
    if len(settings.tasks) == 1:
        return None
    if settings.weighting == "fixed":
        return mtl.fixed((settings.left, 1 - settings.left))
    return getattr(mtl, settings.weighting)()


def build(settings: Settings, spec: Spec) -> Game:
    """The LeNet with a head for every task of the arm."""
    drop = max(int(spec.steps * settings.epochs_per_drop / 100), 1)
    rate = optax.exponential_decay(settings.learning_rate, drop, 0.85, staircase=True)
    tasks = tuple(
        Task(name, nets.from_linen(nets.LeNetHead(spec.num_classes)), targets=name)
        for name in settings.tasks
    )
    return multitask(
        nets.from_linen(nets.LeNetTrunk()),
        tasks,
        optax.adam(rate),
        weighting=weighting_of(settings),
        rows=Rows("features" if settings.features else "parameters"),
    )


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Test accuracies of the tasks that the arm has; on a validation split where there is one."""
    found: dict[str, Any] = {}
    for name in SIDES:
        if name in e.game.predict:
            found |= class_scores(e, e.dataset.validation, head=name, target=name)
    return found


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Accuracies, their change against single-task models (lower is better), mean rank, paper's."""
    joint = [arm for arm in config.arms if not arm.startswith("single")]
    found = {arm: [_accuracies(cells, arm, name) for name in SIDES] for arm in joint}
    single = [_accuracies(cells, f"single_{name}", name) for name in SIDES]
    means = {arm: [_mean(side) for side in sides] for arm, sides in found.items() if all(sides)}
    ranks = {}
    if means:
        order = metrics.mean_rank(list(means.values()), [True, True])
        ranks = {arm: f"{rank:.1f}" for arm, rank in zip(means, order, strict=True)}
    changes = {}
    if all(single):
        base = [_mean(side) for side in single]
        changes = {a: f"{metrics.delta_m(m, base, [True, True]):+.2f}" for a, m in means.items()}
    rows = [["single task (two models)", *_cells(single), "", "", _paper("single")]]
    for arm in joint:
        tail = [changes.get(arm, "-"), ranks.get(arm, "-"), _paper(arm)]
        rows.append([config.arms[arm].text, *_cells(found[arm]), *tail])
    header = ["weighting", "left %", "right %", "delta_m %", "mean rank", "paper (left / right)"]
    title = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size}"
    return f"{title}\n\n{tables.markdown(header, rows)}"


def _accuracies(cells: tables.Cells, arm: str, name: str) -> dict[int, float]:
    return tables.values(cells, arm, f"{name}_test_accuracy")


def _cells(sides: list[dict[int, float]]) -> list[str]:
    return [tables.mean_std(side, 100, 2) for side in sides]


def _mean(found: dict[int, float]) -> float:
    return sum(found.values()) / len(found)


def _paper(arm: str) -> str:
    return "{:.2f} / {:.2f}".format(*PAPER[arm]) if arm in PAPER else ""


METHODS = {  # arm: settings, text
    "equal": (Settings(), "equal"),
    "tuned": (Settings("fixed", left=0.4), "equal, tuned"),
    "uncertainty": (Settings("uncertainty"), "uncertainty"),
    "gradnorm": (Settings("gradnorm"), "GradNorm"),
    "mgda": (Settings("mgda"), "MGDA"),
    "mgda_ub": (Settings("mgda", features=True), "MGDA-UB (features)"),
    "pcgrad": (Settings("pcgrad"), "PCGrad"),
    "cagrad": (Settings("cagrad"), "CAGrad"),
    "nash": (Settings("nash"), "Nash-MTL"),
    "imtl_g": (Settings("imtl_g"), "IMTL-G"),
    "aligned": (Settings("aligned"), "Aligned-MTL"),
    "upgrad": (Settings("upgrad"), "UPGrad"),
    "famo": (Settings("famo"), "FAMO"),
}

CONFIG = Config(
    name="multimnist",
    arms={
        **{
            f"single_{name}": Arm(build, Settings(tasks=(name,)), f"single task, {name}")
            for name in SIDES
        },
        **{arm: Arm(build, settings, text) for arm, (settings, text) in METHODS.items()},
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="multimnist",
    steps=23_400,
    seeds=3,
    batch_size=256,
    log_every=100,
    save_every=23_400,
    sample_every=0,
    about="days on 2 CPU cores, an hour on a GPU",
    presets={
        "smoke": {
            "only": ("single_left", "equal", "mgda_ub"),
            **{"steps": 2, "seeds": 1, "log_every": 1, "save_every": 2, "batch_size": 16},
            "about": "a minute",
        },
        "cpu": {
            **{"steps": 2_340, "log_every": 78, "save_every": 780},
            "about": "an hour and a half on 2 CPU cores",
        },
        "paper": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
