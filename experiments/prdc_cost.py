"""What precision, recall, density and coverage cost: time and memory, beside the `prdc` package's.

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020: k = 5, on
features drawn from N(0, 1) as in their toy experiments, of the width of Inception's. Each has
processes of its own, in turns; memory is the peak of its first process less what that had before.
CPU seconds are over all threads, without processes that still run at the end.

Expected: under 2 GB for 10,000 against 10,000 at 2,048 features, and faster than the package.
Duration: five minutes on 2 cores.

Run:    python -m experiments.prdc_cost      The package's row: pip install gan_mtl[bench]
Check:  --smoke
"""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import tyro

from gan_mtl import metrics
from gan_mtl.run import record, tables
from gan_mtl.run.whole import write

RESULTS = pathlib.Path(__file__).parent / "results" / "prdc_cost.json"
SCORES = ("precision", "recall", "density", "coverage")
WHO = ("gan_mtl", "prdc")


@dataclass(frozen=True)
class Config:
    """What is measured."""

    count: int = 10_000
    """Reals, and as many fakes."""
    width: int = 2_048
    k: int = 5
    rounds: int = 3
    out: pathlib.Path = RESULTS
    smoke: bool = False
    """60 features of width 8, one round, nothing written."""


CONFIG = Config()


def score(who: str, real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """The four scores by this library or by the package."""
    if who == "gan_mtl":
        return metrics.prdc(real, fake, k)._asdict()
    package = importlib.import_module("prdc")
    found = package.compute_prdc(real_features=real, fake_features=fake, nearest_k=k)
    return {name: float(found[name]) for name in SCORES}


def once(who: str, config: Config) -> dict[str, Any]:
    """Seconds, peak memory and scores; to be called in a process of its own."""
    draw = np.random.default_rng(0)
    shape = (config.count, config.width)
    real, fake = (draw.standard_normal(shape, np.float32) for _ in range(2))
    score(who, real[:50], fake[:50], config.k)  # loads what it needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    scores = score(who, real, fake, config.k)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": sum(os.times()[:4]) - cpu,
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "scores": scores,
    }


def measure(config: Config) -> list[dict[str, Any]]:
    """One row each: medians over the rounds, which take turns."""
    who = [name for name in WHO if name == "gan_mtl" or importlib.util.find_spec(name)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for _ in range(config.rounds):
        for name in who:
            own = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, own) as pool:
                found[name].append(pool.submit(once, name, config).result())
    return [
        {
            "name": name,
            **{
                what: round(statistics.median(run[what] for run in runs), 2)
                for what in ("seconds", "cpu_seconds", "megabytes")
            },
            "scores": runs[0]["scores"],
        }
        for name, runs in found.items()
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    header = ["", "seconds", "CPU seconds", "memory (MB)", *SCORES]
    lines = [
        [row["name"], *(f"{row[x]:.1f}" for x in ("seconds", "cpu_seconds", "megabytes"))]
        + [f"{row['scores'][name]:.4f}" for name in SCORES]
        for row in rows
    ]
    missing = "" if len(rows) == len(WHO) else "\n\nThe package `prdc` is not installed."
    return tables.markdown(header, lines) + missing


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures, prints the table and writes it."""
    config = tyro.cli(Config, default=config, args=argv, prog="python -m experiments.prdc_cost")
    if config.smoke:
        config = replace(config, count=60, width=8, rounds=1)
    if not 1 <= config.k < config.count or config.rounds < 1:
        raise SystemExit(
            f"--k {config.k} --count {config.count} --rounds {config.rounds}: k must be from 1 to "
            "count - 1, rounds at least 1."
        )
    rows = measure(config)
    print(table(rows))
    if not config.smoke:
        protocol = {k: v for k, v in asdict(config).items() if k not in ("out", "smoke")}
        found = record.measurement("experiments.prdc_cost", protocol, ("--out",))
        has = importlib.util.find_spec("prdc")
        found["versions"]["prdc"] = importlib.metadata.version("prdc") if has else None
        write(config.out, json.dumps({**found, "rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
