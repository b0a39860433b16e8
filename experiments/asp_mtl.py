"""Shared and private spaces, and whether the shared one tells the task: ASP-MTL on three data sets.

Liu, Qiu, Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017, on pictures:
MNIST, Fashion-MNIST and USPS at 16x16, two per cent of the training images each. The paper has the
task adversary and the orthogonality together; here each is also alone, and what they are for is
measured: logistic regressions on frozen features of test images (half for the fit, half for the
score) that ask for the *task* in the shared features, and for the *class* in the shared and in the
private ones. An untrained trunk is the level to compare the first with.

Expected: no paper has these numbers. The penalties should lower the leakage; that this helps the
tasks is the paper's claim for text (15.85 to 13.12 % error in a port to convolutions), not ours.

Run:    python -m experiments.asp_mtl --data-dir DIR --preset cpu
Check:  --smoke     See: --dry-run     all images: --preset whole
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import numpy as np
import optax

from gan_mtl import data, games, nets
from gan_mtl.games import Task, architectures
from gan_mtl.run import probes, tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, class_scores
from gan_mtl.types import Game, Network

Predict = Callable[[str, np.ndarray], np.ndarray]
EXAMPLES = 1000  # test images of a task for the class probes, half of them for the fit


@dataclass(frozen=True)
class Settings:
    """One arm."""

    sharing: str
    """"single": a network a task; "hard": one trunk; "private": a shared and a private one."""
    lam: float = 0.0
    """Of the task adversary."""
    gamma: float = 0.0
    """Of the orthogonality, normalised."""
    learning_rate: float = 1e-3


def trunk() -> Network:
    """Pictures to 64 features."""
    return nets.from_linen(nets.MLPTrunk((128, 64), activation=nn.relu))


def build(settings: Settings, spec: Spec) -> Game:
    """The arm's game; every task has examples of its own."""
    tasks = tuple(
        Task(name, nets.from_linen(nets.Head(k)), source=f"images/{name}", targets=f"labels/{name}")
        for name, k in spec.sources.items()
    )
    adam = optax.adam(settings.learning_rate)
    if settings.sharing == "hard":
        return games.multitask(trunk(), tasks, adam)
    if settings.sharing == "single":
        apart = architectures.soft_sharing(tuple(t.name for t in tasks), trunk())
        return games.multitask(apart, tasks, adam)
    judge = nets.from_linen(nets.Head(len(tasks), widths=(64,), activation=nn.relu))
    players = (trunk(), trunk(), tasks, judge)
    return games.asp_mtl(*players, adam, lam=settings.lam, gamma=settings.gamma)


def evaluate(e: Evaluation) -> dict[str, Any]:
    """By task the accuracy and class probes, and the leakage before and after training."""
    found: dict[str, Any] = {}
    for source in e.dataset.sources:
        name = source.name
        part = data.part(e.dataset, e.dataset.test, name)
        found[f"{name}/accuracy"] = class_scores(e, part, head=name)["test_accuracy"]
        chosen = data.shuffled(part.num_examples, 0, "class probes")[:EXAMPLES]
        for which in ("features", f"private/{name}"):
            if which in e.game.predict:
                told = class_probe(e.predict(which, part.images[chosen]), part.labels[chosen])
                found[f"{name}/{which.split('/')[0]}_class"] = told
    if "features" in e.game.predict:
        for when, predict in (("", e.predict), ("_before", e.fresh())):
            shared = functools.partial(shared_features, predict)
            found[f"leakage{when}"] = probes.leakage(shared, e.dataset)
    return found


def shared_features(predict: Predict, name: str, images: np.ndarray) -> np.ndarray:
    """The same trunk for the images of every task."""
    del name
    return predict("features", images)


def class_probe(features: np.ndarray, labels: np.ndarray) -> float:
    """How often a linear classifier of half of the examples tells the class of the other half."""
    half = len(labels) // 2
    return probes.linear_probe((features[:half], features[half:]), (labels[:half], labels[half:]))


def tabulate(config: Config, cells: tables.Cells) -> str:
    """Accuracy of every task and their mean, and what can be read from where."""
    scored = [cell["scores"] for cell in cells if cell["scores"]]
    suffix = "/accuracy"
    names = [k.removesuffix(suffix) for k in (scored[0] if scored else {}) if k.endswith(suffix)]
    header = ["arm", *(f"{name} %" for name in names), "mean %", "mean - single's, 95 %"]
    header += ["task in shared % (untrained)", "class in shared %", "class in private %"]
    rows = []
    for arm, of in chosen_arms(config).items():
        found = [tables.mean_std(tables.values(cells, arm, n + suffix), 100) for n in names]
        mean, single = (mean_over(cells, a, [n + suffix for n in names]) for a in (arm, "single"))
        change = tables.paired(mean, single) if arm != "single" else None
        row = [of.text, *found, tables.mean_std(mean, 100)]
        row.append("" if change is None else f"{100 * change.low:+.1f} .. {100 * change.high:+.1f}")
        leak, start = (tables.values(cells, arm, k) for k in ("leakage", "leakage_before"))
        untrained = f" ({tables.mean_std(start, 100)})" if start else ""
        row.append(tables.mean_std(leak, 100) + untrained)
        for which in ("features", "private"):
            told = mean_over(cells, arm, [f"{n}/{which}_class" for n in names])
            row.append(tables.mean_std(told, 100))
        rows.append(row)
    part = f"{config.fraction:g} of the training images"
    title = f"{config.seeds} seeds, {config.steps} steps of {config.batch_size} images a task"
    chance = f"1 / {len(names)} is chance for the task" if names else ""
    return f"{title}, {part}; {chance}\n\n{tables.markdown(header, rows)}"


def mean_over(cells: tables.Cells, arm: str, scores: list[str]) -> dict[int, float]:
    """By seed, the mean of several scores, where all are."""
    return tables.mean_over([tables.values(cells, arm, score) for score in scores])


CONFIG = Config(
    name="asp_mtl",
    arms={
        "single": Arm(build, Settings("single"), "single-task networks"),
        "hard": Arm(build, Settings("hard"), "one shared trunk"),
        "private": Arm(build, Settings("private"), "shared and private"),
        "adversary": Arm(build, Settings("private", lam=0.05), "+ task adversary"),
        "strong": Arm(build, Settings("private", lam=0.5), "+ task adversary, ten times"),
        "difference": Arm(build, Settings("private", gamma=1.0), "+ orthogonality"),
        "asp": Arm(build, Settings("private", lam=0.05, gamma=1.0), "+ both (ASP-MTL)"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="joined:mnist+fashion_mnist+usps",
    size=16,
    fraction=0.02,
    steps=2_000,
    seeds=5,
    batch_size=32,
    log_every=100,
    save_every=2_000,
    sample_every=0,
    feature_steps=0,
    relations_every=0,
    about="half an hour of one CPU core",
    presets={
        "smoke": {
            **{"only": ("hard", "asp"), "steps": 2, "seeds": 1, "log_every": 1, "save_every": 2},
            **{"batch_size": 4},
            "about": "half a minute",
        },
        "cpu": {"seeds": 3},
        "whole": {"fraction": 1.0, "steps": 20_000, "save_every": 20_000},
    },
)

if __name__ == "__main__":
    main(CONFIG)
