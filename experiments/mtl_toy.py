"""The two-task toy with a valley of opposite gradients: which methods reach the Pareto front?

Two parameters, two objectives whose gradients are all but opposite in a valley (Liu et al. 2021,
section 5.1; problem and starts of the code of Navon et al. 2022). Every weighting and aggregator
from five starts, at two scales of the first objective, in float64 and float32: Adam at 0.001 for
50,000 steps. Reached means: within 0.1 of the front in the plane of the two (unscaled) losses. Both
losses are raised by 21, which moves no gradient, for the methods that need positive ones.

Expected, each from five starts of its own: gradient descent stuck from 2, CAGrad, MGDA and PCGrad
from none (CAGrad's paper); Adam can fail on the first task, FAMO reaches the front from all
(FAMO's).

Run:    python -m experiments.mtl_toy
Check:  --smoke
"""

from __future__ import annotations

import json
import math
import pathlib
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from gan_mtl import Game, Loss, Objective, Outcome, Turn, alternating, mtl, parallel
from gan_mtl.run import record
from gan_mtl.run.whole import write
from gan_mtl.types import Aggregator, Weighting

RESULTS = pathlib.Path(__file__).parent / "results" / "mtl_toy.json"
PICTURE = pathlib.Path(__file__).parents[1] / "docs" / "mtl_toy.png"
STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
SCALES = (0.1, 1.0)
SHIFT = 21.0
EVERY = 50  # steps between points of a path

METHODS: dict[str, Weighting | Aggregator] = {
    "equal": mtl.equal(),
    "rlw": mtl.rlw(),
    "uncertainty": mtl.uncertainty(),
    "log_sum": mtl.log_sum(),
    "gls": mtl.gls(),
    "imtl_l": mtl.imtl_l(),
    "dwa": mtl.dwa(epoch_steps=25),
    "stch": mtl.stch(),
    "famo": mtl.famo(gamma=0.0),
    "gradnorm": mtl.gradnorm(),
    "learned_simplex": mtl.learned_simplex(),
    "mgda": mtl.mgda(),
    "pcgrad": mtl.pcgrad(),
    "gradvac": mtl.gradvac(),
    "graddrop": mtl.graddrop(),
    "cagrad": mtl.cagrad(c=0.4),
    "imtl_g": mtl.imtl_g(),
    "nash": mtl.nash(),
    "fairgrad": mtl.fairgrad(),
    "aligned": mtl.aligned(),
    "upgrad": mtl.upgrad(),
    "dualproj": mtl.dualproj(),
    "conflict_free": mtl.conflict_free(),
    "sdmgrad": mtl.sdmgrad(),
    "modo": mtl.modo(),
    "moco": mtl.moco(),
    "dbmtl": mtl.dbmtl(),
    "excess": mtl.excess(),
}


@dataclass(frozen=True)
class Config:
    """The protocol."""

    only: tuple[str, ...] = ()
    """Names of the methods; all by default."""
    steps: int = 50_000
    """Steps of Adam."""
    out: pathlib.Path = RESULTS
    picture: pathlib.Path = PICTURE
    smoke: bool = False
    """Two methods, 100 steps, nothing written."""


CONFIG = Config()


def objectives(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both losses at x [2], as the code of Nash-MTL has them (`experiments/toy/problem.py`)."""
    x1, x2 = x
    least = 5e-6
    f1 = jnp.log(jnp.maximum(jnp.abs(0.5 * (-x1 - 7) - jnp.tanh(-x2)), least)) + 6
    f2 = jnp.log(jnp.maximum(jnp.abs(0.5 * (-x1 + 3) + jnp.tanh(-x2) + 2), least)) + 6
    g1 = ((-x1 + 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    g2 = ((-x1 - 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    c1, c2 = jnp.maximum(jnp.tanh(0.5 * x2), 0), jnp.maximum(jnp.tanh(-0.5 * x2), 0)
    return c1 * f1 + c2 * g1, c1 * f2 + c2 * g2


def game(method: Weighting | Aggregator) -> Game:
    """One group, two rows; the batch holds the scale of the first."""

    def init(key, batch):
        del key
        return {"point": {"params": jnp.zeros(2, batch["scale"].dtype)}}

    def losses(variables, batch, context):
        del context
        first, second = objectives(variables.params["point"])
        scale = batch["scale"]
        found = {"first": scale * (first + SHIFT), "second": second + SHIFT + 0 * scale}
        return Outcome({name: Loss(values) for name, values in found.items()}, variables)

    rows = {name: Objective({"point": 1.0}) for name in ("first", "second")}
    return Game(init, (Turn("model", losses, rows, optax.adam(1e-3), method),))


def paths(method: Weighting | Aggregator, steps: int, dtype: Any) -> np.ndarray:
    """Points [scales, starts, steps / 50, 2] of all runs of a method, in one program."""
    updater = alternating(game(method))
    batch = {"scale": jnp.repeat(jnp.asarray(SCALES, dtype)[:, None], 6, axis=1)}

    def one(key, start, batch):
        state = updater.init(key, batch)._replace(params={"point": start})

        def advance(state, step):
            return updater.update(jax.random.fold_in(key, step), state, batch)[0], None

        def stretch(state, number):
            state, _ = jax.lax.scan(advance, state, number * EVERY + jnp.arange(EVERY))
            return state, state.params["point"]

        return jax.lax.scan(stretch, state, jnp.arange(steps // EVERY))[1]

    starts = jnp.asarray(STARTS, dtype)
    keys = jax.random.split(jax.random.key(0), len(STARTS))
    every_start = jax.vmap(one, in_axes=(0, 0, None))
    both_scales = parallel.compile_function(jax.vmap(every_start, in_axes=(None, None, 0)))
    return np.asarray(both_scales(keys, starts, batch))


def front() -> np.ndarray:
    """Points [n, 2] of the front in the plane of the losses."""
    x = np.stack([np.linspace(-7, 7, 20_001), np.full(20_001, -8.3552)], axis=1)
    return np.stack(jax.vmap(objectives)(jnp.asarray(x)), axis=1)


def distance(ends: np.ndarray) -> np.ndarray:
    """Distances [...] of the losses at `ends` [..., 2] from the front; NaN stays NaN."""
    found = np.stack(jax.vmap(objectives)(jnp.asarray(ends.reshape(-1, 2), float)), axis=1)
    gaps = np.linalg.norm(found[:, None] - front()[None, ::10], axis=2).min(axis=1)
    return np.where(np.isnan(found).any(axis=1), np.nan, gaps).reshape(ends.shape[:-1])


def measure(name: str, steps: int) -> tuple[dict[str, Any], np.ndarray]:
    """One method's row of the table, and its paths in float64."""
    row: dict[str, Any] = {"method": name}
    kept = np.empty(0)
    for dtype in ("float64", "float32"):
        began = time.perf_counter()
        found = paths(METHODS[name], steps, dtype)
        gaps = distance(found[:, :, -1])
        row[dtype] = {
            "seconds": round(time.perf_counter() - began, 1),
            "reached": {str(s): int((gaps[i] < 0.1).sum()) for i, s in enumerate(SCALES)},
            "distances": [[_rounded(x) for x in line] for line in gaps],
            "ends": [[[_rounded(x) for x in end] for end in line] for line in found[:, :, -1]],
        }
        kept = found if dtype == "float64" else kept
    return row, kept


def _rounded(x: float) -> float | None:
    return round(float(x), 3) if math.isfinite(x) else None


def table(rows: list[dict[str, Any]]) -> str:
    """Starts (of five) from which each method reached the front."""
    lines = ["method           float64: x 0.1  x 1   float32: x 0.1  x 1   float64, where not"]
    for row in rows:
        wide, narrow = (row[dtype]["reached"] for dtype in ("float64", "float32"))
        counts = f"{wide['0.1']:14d} {wide['1.0']:4d} {narrow['0.1']:16d} {narrow['1.0']:4d}"
        lines.append(f"{row['method']:16}{counts}   {_missed(row['float64'])}".rstrip())
    return "\n".join(lines)


def _missed(found: dict[str, Any]) -> str:
    """Where the runs ended that did not reach the front."""
    parts = []
    for scale, gaps, ends in zip(SCALES, found["distances"], found["ends"], strict=True):
        for start, gap, end in zip(STARTS, gaps, ends, strict=True):
            if gap is None or gap >= 0.1:
                where = "NaN" if gap is None else "({:.1f}, {:.1f})".format(*end)
                parts.append(f"x {scale:g} ({start[0]:g}, {start[1]:g}): {where}")
    return "; ".join(parts)


def draw(found: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Paths of all methods at scale 1, over the sum of the losses."""
    from matplotlib.figure import Figure

    columns = 7
    figure = Figure(figsize=(2.1 * columns, 2.2 * math.ceil(len(found) / columns)), dpi=80)
    axes = np.atleast_1d(figure.subplots(math.ceil(len(found) / columns), columns)).ravel()
    x, y = np.meshgrid(np.linspace(-11, 11, 120), np.linspace(-11, 11, 120))
    grid = jnp.asarray(np.stack([x.ravel(), y.ravel()], axis=1))
    height = np.asarray(sum(jax.vmap(objectives)(grid))).reshape(x.shape)
    for axis, (name, lines) in zip(axes, found.items(), strict=False):
        axis.contour(x, y, height, levels=18, linewidths=0.4, cmap="Greys")
        axis.plot([-7, 7], [-8.3552, -8.3552], color="0.6", linewidth=3, zorder=1)
        for start, line in zip(STARTS, lines[1], strict=True):
            whole = np.concatenate([np.asarray(start)[None], line])
            axis.plot(whole[:, 0], whole[:, 1], linewidth=1.2)
            axis.plot(*whole[-1], "k*", markersize=5, zorder=3)
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_visible(axis.has_data())
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Runs all methods, prints the table, writes it and the picture."""
    config = tyro.cli(Config, default=config, args=argv, prog="python -m experiments.mtl_toy")
    names = config.only or tuple(METHODS)
    if unknown := sorted(set(names) - set(METHODS)):
        raise SystemExit(f"--only {unknown[0]} is not one of {', '.join(METHODS)}.")
    steps = config.steps
    if config.smoke:
        names, steps = ("equal", "mgda"), 2 * EVERY
    parallel.enable_compilation_cache()
    rows, found = [], {}
    with jax.enable_x64(True):
        for name in names:
            row, found[name] = measure(name, steps)
            rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
        if not config.smoke:
            draw(found, config.picture)
    print(f"\n{table(rows)}")
    if not config.smoke:
        protocol = {"steps": steps, "optimizer": "Adam, 0.001", "starts": STARTS}
        found = record.measurement("experiments.mtl_toy", protocol, ("--out", "--picture"))
        write(config.out, json.dumps({**found, "rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
