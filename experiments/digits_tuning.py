"""How the settings of digits_gan_mtl were found: as many trials for every arm, by random search.

Six trials an arm; trial i has the same trunk, noise and learning rate in all arms; what else an
arm can set is drawn for it alone. Scored on 250 validation images carved out of the training split,
on label draws 100 and 101, which no reported table uses; test images are not looked at.

Expected: the MLP behind the CNN. No paper has this table.

Run:    python -m experiments.digits_tuning
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from experiments import digits_gan_mtl as digits
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config
from gan_mtl.run.evaluate import Evaluation, class_scores

TRIALS = 6
TRUNKS = (
    digits.Trunk("mlp", (256, 256, 128), kernel_norm="weight"),
    digits.Trunk("cnn", (16, 32), kernel_norm=None),
)
SPACE: dict[str, tuple[float, ...]] = {
    "rotation": (0.1, 0.3, 0.5, 1.0),
    "entropy": (0.03, 0.1, 0.3),
    "generator": (0.1, 0.3, 1.0),
}
SEARCHED = {
    "classifier": (),
    "classifier_rotation": ("rotation",),
    "gan": ("entropy", "generator"),
    "gan_rotation": ("entropy", "generator", "rotation"),
    "classifier_entropy": ("entropy", "rotation"),
}


def trials(arm: str) -> dict[str, Arm]:
    """The trials of one arm of digits_gan_mtl, by name `ARM-i`."""
    row = digits.CONFIG.arms[arm]
    common = np.random.default_rng(0)
    own = np.random.default_rng([1, list(SEARCHED).index(arm)])
    found = {}
    for i in range(TRIALS):
        trunk = replace(
            TRUNKS[i % len(TRUNKS)],
            input_noise=pick(common, (0.1, 0.3)),
            hidden_noise=pick(common, (0.3, 0.5)),
        )
        rate = pick(common, (1e-3, 2e-3, 3e-3))
        drawn = {name: pick(own, SPACE[name]) for name in SEARCHED[arm]}
        base = digits.Settings(trunk, rate, entropy=0.0)
        found[f"{arm}-{i}"] = Arm(row.build, replace(base, **drawn), row.text)
    return found


def pick(rng: np.random.Generator, values: tuple[float, ...]) -> float:
    """One of the values."""
    return float(values[rng.integers(len(values))])


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Accuracy on the carved-out images."""
    assert e.dataset.validation is not None
    scores = class_scores(e, e.dataset.validation)
    return {"validation_accuracy": scores["test_accuracy"]}


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Every trial, the best of an arm first and in bold."""
    return "\n\n".join(block(config, cells, arm) for arm in SEARCHED)


def block(config: Config, cells: tables.Cells, arm: str) -> str:
    """The trials of one arm, best first."""
    searched = SEARCHED[arm]
    rows = []
    for name, trial in config.arms.items():
        found = tables.values(cells, name, "validation_accuracy", config.labels[0])
        if name.rpartition("-")[0] == arm and found:
            rows.append((float(np.mean(list(found.values()))), line(name, trial, found, searched)))
    rows.sort(key=lambda row: -row[0])
    header = ["trial", "trunk", "noise", "rate", *searched, "validation accuracy %"]
    title = f"{digits.CONFIG.arms[arm].text}, {config.labels[0]} labels, {config.seeds} label draws"
    return f"{title}\n\n{tables.markdown(header, [row for _, row in rows])}"


def line(name: str, trial: Arm, found: dict[int, float], searched: tuple[str, ...]) -> list[str]:
    """One trial as a row."""
    settings = trial.settings
    trunk = settings.trunk
    return [
        name,
        f"{trunk.kind} {'-'.join(map(str, trunk.widths))}",
        f"{trunk.input_noise:g}, {trunk.hidden_noise:g}",
        f"{settings.learning_rate:g}",
        *[f"{getattr(settings, s):g}" for s in searched],
        tables.mean_std(found, 100),
    ]


CONFIG = Config(
    name="digits_tuning",
    arms={name: arm for group in SEARCHED for name, arm in trials(group).items()},
    evaluate=evaluate,
    tabulate=tabulate,
    data="digits",
    labels=(30,),
    validation=250,
    steps=1200,
    seed=100,
    seeds=2,
    batch_size=96,
    labelled_batch_size=32,
    log_every=100,
    save_every=400,
    sample_every=0,
    about="20 minutes on 2 CPU cores",
    presets={
        "smoke": {
            "only": ("classifier-0", "gan_rotation-0"),
            **{"steps": 4, "seeds": 1, "log_every": 2, "save_every": 4},
            "about": "a minute",
        },
        "cpu": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
