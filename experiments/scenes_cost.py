"""What the arms of scenes_multitask cost: a training step, and the answers of all heads.

Three networks for three tasks against one trunk for all, and the ways to put the tasks together.
All programs are compiled first and then timed in turns, block by block, on the same batch of
scenes. "Three networks" is the sum of the single-task arms: what it takes to train them, or to ask
them, one after another.

Expected: one shared trunk costs less than three networks; weightings that see gradients take up to
a backward pass of the trunk for every task.
Duration: a quarter of an hour on 2 cores, most of it compilation.

Run:    python -m experiments.scenes_cost
Check:  --smoke
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from experiments import scenes_multitask, speed
from experiments.scenes_multitask import TASKS
from gan_mtl import alternating, parallel
from gan_mtl.data import Split, load, to_float
from gan_mtl.run import tables
from gan_mtl.run.config import Spec
from gan_mtl.run.network_cost import answers, network_cost
from gan_mtl.run.whole import write
from gan_mtl.update import variables_of

RESULTS = pathlib.Path(__file__).parent / "results" / "scenes_cost.json"
SINGLE = tuple(f"single_{task}" for task in TASKS)
ARMS = (*SINGLE, "equal", "pcgrad", "nash", "upgrad", "mtan", "cross_stitch")


@dataclass(frozen=True)
class Config:
    """What is measured."""

    only: tuple[str, ...] = ARMS
    """Arms of scenes_multitask."""
    batch: int = 32
    size: int = 64
    """Side of the scenes."""
    rounds: int = 5
    block_seconds: float = 2.0
    out: pathlib.Path = RESULTS
    smoke: bool = False
    """Two arms, two scenes, one step each, nothing written."""


CONFIG = Config()


def contenders(arm: str, split: Split) -> dict[str, Callable[[], None]]:
    """A training step and the answers of all heads, compiled, on these scenes."""
    _, h, w, c = split.images.shape
    k = split.targets["present"].shape[1]
    settings = scenes_multitask.ARMS[arm].settings
    game = scenes_multitask.build(settings, Spec((h, w, c), k, (-1.0, 1.0), 1_000))
    images = jnp.asarray(to_float(split.images))
    batch = {"images": images, **{name: jnp.asarray(x) for name, x in split.targets.items()}}
    updater, key = alternating(game), jax.random.key(0)
    state = parallel.compile_function(updater.init)(key, batch)
    update = parallel.compile_function(updater.update, donate_argnums=1)
    answer = parallel.compile_function(answers(game))
    variables = jax.tree.map(jnp.copy, variables_of(state))

    def step() -> None:
        nonlocal state
        state, _ = update(key, state, batch)
        jax.block_until_ready(state)

    def ask() -> None:
        jax.block_until_ready(answer(variables, images))

    return {"step": step, "answer": ask}


def measure(config: Config) -> list[dict[str, Any]]:
    """A row for every arm: medians over the blocks, which take turns."""
    scenes = load("digit_scenes_small", size=config.size).train
    targets = {name: x[: config.batch] for name, x in scenes.targets.items()}
    split = Split(scenes.images[: config.batch], scenes.labels[: config.batch], targets)
    found = {arm: contenders(arm, split) for arm in config.only}
    times: dict[tuple[str, str], list[float]] = {
        (arm, what): [] for arm, kinds in found.items() for what in kinds
    }
    for round_ in range(config.rounds + 1):
        for arm, what in times:
            block = speed.block(found[arm][what], config.block_seconds)
            times[arm, what] += [wall for wall, _ in block] if round_ else []  # the first warms up
    rows = []
    for arm in config.only:
        settings = scenes_multitask.ARMS[arm].settings
        spec = Spec(split.images.shape[1:], targets["present"].shape[1], (-1.0, 1.0), 1_000)
        cost = network_cost(scenes_multitask.build(settings, spec), split)
        medians = {w: statistics.median(times[arm, w]) for w in ("step", "answer")}
        rows.append(
            {
                "arm": arm,
                "step_ms": round(1e3 * medians["step"], 2),
                "answer_ms_an_image": round(1e3 * medians["answer"] / config.batch, 4),
                **cost,
            }
        )
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows for people; three networks are the sum of the single-task arms."""
    by_arm = {row["arm"]: row for row in rows}
    names = ("step_ms", "answer_ms_an_image", "parameters", "operations_per_image")
    texts = {arm: scenes_multitask.ARMS[arm].text for arm in by_arm}
    if all(arm in by_arm for arm in SINGLE):
        by_arm["three"] = {n: float(np.sum([by_arm[a][n] for a in SINGLE])) for n in names}
        texts["three"] = "three networks"
    lines = [
        [
            texts[arm],
            f"{row['step_ms']:.1f}",
            f"{row['answer_ms_an_image']:.2f}",
            f"{row['parameters']:,.0f}",
            f"{row['operations_per_image'] / 1e6:.1f}",
        ]
        for arm, row in by_arm.items()
    ]
    header = ["arm", "ms a step", "ms an image, all heads", "parameters", "MFLOP an image"]
    return tables.markdown(header, lines)


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures, prints the table and writes it to `config.out`."""
    config = tyro.cli(Config, default=config, args=argv, prog="python -m experiments.scenes_cost")
    if unknown := sorted(set(config.only) - set(scenes_multitask.ARMS)):
        raise SystemExit(f"--only {unknown[0]} is not one of {', '.join(scenes_multitask.ARMS)}.")
    if config.smoke:
        config = replace(
            config, only=("single_presence",), batch=2, size=32, rounds=1, block_seconds=1e-9
        )
    before = speed.environment(config, "scenes_cost")
    rows = measure(config)
    print(table(rows))
    print(f"load average {before['load_average']} before, {list(os.getloadavg())} after")
    if not config.smoke:
        write(config.out, json.dumps({**before, "rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
