"""Do the affinities of a run tell which tasks to train together? Pairs with a known answer.

scikit-learn's digits, one small trunk. The task `class` is trained alone and beside another one: a
related one (is the digit even?), an unrelated one (labels by a hash of the image, which say nothing
about it), and a conflicting one (the same head asked for the next class). From the looks at a run
follows a verdict: Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning",
NeurIPS 2021, with an interval of ours. Beside it stands what joint training does to `class`.

Expected: "train apart" for the unrelated and the conflicting pair. No paper has this table.

Run:    python -m experiments.task_relations
Check:  --smoke     See: --dry-run
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import optax

from gan_mtl import nets
from gan_mtl.games import Task, class_task, multitask
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.run import tables
from gan_mtl.run.cli import main
from gan_mtl.run.config import Arm, Config, Spec
from gan_mtl.run.evaluate import Evaluation, class_scores
from gan_mtl.types import Array, Context, Game

Other = Literal["none", "parity", "hash", "next"]


@dataclass(frozen=True)
class Settings:
    """One arm."""

    other: Other = "none"
    """The task beside `class`."""
    width: int = 32
    learning_rate: float = 1e-3


def parity(outputs: Array, labels: Array) -> Array:
    """Cross entropy of even against odd."""
    return cross_entropy(outputs, labels % 2)


def next_class(outputs: Array, labels: Array, *, num_classes: int) -> Array:
    """Cross entropy of the class after the right one."""
    return cross_entropy(outputs, (labels + 1) % num_classes)


def hashed(images: Array, context: Context, *, num_classes: int) -> tuple[Array, Array]:
    """The images, and a class that is a hash of their pixels: fixed, and about nothing."""
    del context
    flat = jnp.round((images.reshape(images.shape[0], -1) + 1) * 127.5).astype(jnp.uint32)
    weights = jnp.arange(1, flat.shape[1] + 1, dtype=jnp.uint32) * jnp.uint32(2654435761)
    mixed = (flat * weights[None, :]).sum(axis=1, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(2246822519)
    return images, ((mixed ^ (mixed >> 13)) % num_classes).astype(jnp.int32)


def build(settings: Settings, spec: Spec) -> Game:
    """An MLP trunk of one hidden layer, one or two heads."""
    k = spec.num_classes
    head = nets.from_linen(nets.Head(k))
    others = {
        "none": (),
        "parity": (Task("parity", nets.from_linen(nets.Head(2)), parity, classifies=False),),
        "hash": (
            Task(
                "hash",
                head,
                targets=None,
                transform=functools.partial(hashed, num_classes=k),
            ),
        ),
        "next": (
            Task(
                "next",
                head,
                functools.partial(next_class, num_classes=k),
                classifies=False,
                asks="class",
            ),
        ),
    }
    tasks = (class_task(head, labelled=False), *others[settings.other])
    trunk = nets.from_linen(nets.MLPTrunk((settings.width,)))
    return multitask(trunk, tasks, optax.adam(settings.learning_rate))


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Test accuracy of `class`."""
    return class_scores(e)


def tabulate(config: Config, cells: tables.Cells) -> str:
    """A row per pair: verdict of every seed, mean affinity and cosine, what it does to `class`."""
    alone = tables.values(cells, "alone", "test_accuracy")
    rows = []
    for arm, described in config.arms.items():
        found = tables.values(cells, arm, "test_accuracy")
        gain = tables.paired(found, alone) if arm != "alone" else None
        change = "" if gain is None else f"{100 * gain.low:+.1f} .. {100 * gain.high:+.1f}"
        row = [described.text, tables.mean_std(found, 100), change]
        rows.append([*row, *_relations(cells, arm)])
    header = ["tasks", "class %", "against alone, 95 %", "affinity to class", "cosine", "verdict"]
    return f"{config.seeds} seeds, {config.steps} steps\n\n{tables.markdown(header, rows)}"


def _relations(cells: tables.Cells, arm: str) -> list[str]:
    told = tables.values(cells, arm, "relations")
    turns: dict[int, Any] = {seed: found["model"] for seed, found in told.items()}  # pyright: ignore
    if not turns:
        return ["", "", ""]
    cosine = {seed: next(iter(t["cosine"].values())) for seed, t in turns.items()}
    affinity = {
        seed: next(v for pair, v in t["affinity"].items() if pair.endswith(">class"))
        for seed, t in turns.items()
    }
    verdicts = [t["verdict"] for t in turns.values()]
    apart = sum(v.startswith("train apart") for v in verdicts)
    verdict = f"train apart: {apart} of {len(verdicts)}"
    return [tables.mean_std(affinity, 1, 4), tables.mean_std(cosine, 1, 3), verdict]


CONFIG = Config(
    name="task_relations",
    arms={
        "alone": Arm(build, Settings(), "class alone"),
        "related": Arm(build, Settings("parity"), "class + even or odd"),
        "unrelated": Arm(build, Settings("hash"), "class + a hash of the image"),
        "conflicting": Arm(build, Settings("next"), "class + the next class, of the same head"),
    },
    evaluate=evaluate,
    tabulate=tabulate,
    data="digits",
    steps=1_000,
    seeds=5,
    batch_size=64,
    log_every=25,
    save_every=1_000,
    sample_every=0,
    relations_every=25,
    about="a minute on 2 CPU cores",
    presets={
        "smoke": {
            "only": ("alone", "conflicting"),
            **{"steps": 4, "seeds": 1, "log_every": 1, "save_every": 4, "relations_every": 1},
            "about": "seconds",
        },
        "cpu": {},
    },
)

if __name__ == "__main__":
    main(CONFIG)
