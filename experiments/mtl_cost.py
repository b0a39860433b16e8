"""What weighting tasks costs: time and memory of a step under every method, beside TorchJD's.

Adam on 2, 3, 10 and 40 classifications of one picture (28x28x1, batch 256): `mlp`, 784-128-128 and
a linear head per task; `lenet`, the LeNet of Sener & Koltun 2018 with its heads and dropout.

Rows are exact, one backward pass per task; `mgda_ub` has those of the features, `mgda_lazy` new
weights at every tenth step. A step needs F + n B + update, timed in the same run: forward pass,
n backward passes of the sum (K for exact rows, else 1), Adam; `famo` one F more. A solver is timed
alone, on a Gramian that it is given. `equal` of TorchJD is plain PyTorch; its backward passes
are run together (vmap, its default) and one after another, and the better way counts. Either
framework has its own process and all cores; contenders take turns, block by block.

Expected: operations 1.00 of equal weights, features 1.02, rows (1 + 2 K) / 3; time at most 1.1
(F + n B + update), solver below 2 %; on the MLP 1.5 times as fast as TorchJD, on the LeNet no
slower. Measured: `experiments/results/mtl_cost.json`. Duration: half an hour on 2 cores, nearly all
of it compilation (40 backward passes: a minute a method).

Run:    python -m experiments.mtl_cost       TorchJD rows: pip install gan_mtl[bench]
Check:  --smoke
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from experiments import speed
from experiments.speed import Step
from gan_mtl import alternating, mtl, nets, parallel
from gan_mtl.games import Task, multitask
from gan_mtl.run.memory import keep_memory
from gan_mtl.run.whole import write
from gan_mtl.types import EXACT, Aggregator, Context, Game, Rows, Variables, Weighting

RESULTS = pathlib.Path(__file__).parent / "results" / "mtl_cost.json"
LAZY = 10  # steps between new weights
FEW = ("equal", "famo", "mgda", "mgda_ub", "upgrad")
SOME = {10: (*FEW, "uncertainty", "pcgrad", "nash", "mgda_lazy"), 40: FEW}  # else: all methods
NETWORKS = ("mlp", "lenet")
PLAIN = (  # factories that need no argument
    *("equal", "log_sum", "uncertainty", "rlw", "gls", "imtl_l", "stch", "hypervolume", "gman"),
    *("learned_simplex", "famo", "gradnorm", "mgda", "pcgrad", "gradvac", "graddrop", "imtl_g"),
    *("cagrad", "nash", "fairgrad", "aligned", "upgrad", "dualproj", "conflict_free"),
    *("dbmtl", "excess", "moco", "sdmgrad", "modo"),
)
PARTS = ("forward", "gradient", "update")


@dataclass(frozen=True)
class Config:
    """The protocol of a measurement."""

    networks: tuple[str, ...] = NETWORKS
    tasks: tuple[int, ...] = (2, 3, 10, 40)
    only: tuple[str, ...] = ()
    """Names of methods beside `equal`; by default all; some at 10 and 40 tasks."""
    rounds: int = 3
    """Rounds; in each, every contender has its block of steps in turn."""
    block_seconds: float = 0.1
    """Length of a block; one step more comes first and is not measured."""
    one_core: bool = False
    """For a busy machine: both frameworks on one core, by CPU time, which waits for nobody."""
    note: str = ""
    """What else there is to know of the machine."""
    out: pathlib.Path = RESULTS
    smoke: bool = False
    """Two methods, small batches, one round, nothing written."""


CONFIG = Config()


class Case(NamedTuple):
    """A network with a number of tasks."""

    network: str
    tasks: int
    batch: int = 256
    width: int = 128  # of the MLP's layers
    side: int = 28
    classes: int = 10
    rate: float = 1e-3


def methods(tasks: int) -> dict[str, tuple[Weighting | Aggregator, Rows]]:
    """Every factory of gan_mtl.mtl that takes this many tasks, and other ways to come by rows."""
    found: dict[str, Weighting | Aggregator] = {
        **{name: getattr(mtl, name)() for name in PLAIN},
        "fixed": mtl.fixed((1 / tasks,) * tasks),
        "dwa": mtl.dwa(epoch_steps=100),
        "cr_mogm": mtl.cr_mogm(mtl.mgda()),
        "trimmed_mean": mtl.trimmed_mean(min(1, (tasks - 1) // 2)),
    }
    if tasks >= 3:
        found["krum"] = mtl.krum(0)
    ways = {"mgda_ub": Rows("features"), "mgda_lazy": Rows(every=LAZY)}
    plain = {name: (weighting, EXACT) for name, weighting in found.items()}
    return {**plain, **{name: (mtl.mgda(), rows) for name, rows in ways.items()}}


def passes(weighting: Weighting | Aggregator, rows: Rows, tasks: int) -> tuple[float, float]:
    """Forward and backward passes of a step."""
    exact = isinstance(weighting, Aggregator) or weighting.needs_gramian
    backward = tasks if exact and rows.of == "parameters" else 1
    return 1 + (weighting.observe is not None), 1 + (backward - 1) / rows.every


def game(case: Case, weighting: Weighting | Aggregator, rows: Rows = EXACT) -> Game:
    """The network with its heads, one per task."""
    linen = nets.from_linen
    trunk, head = nets.LeNetTrunk(), nets.LeNetHead(case.classes)
    if case.network == "mlp":
        trunk, head = nets.MLPTrunk((case.width, case.width)), nets.Head(case.classes)
    tasks = tuple(Task(f"t{i}", linen(head), targets=f"t{i}") for i in range(case.tasks))
    return multitask(linen(trunk), tasks, optax.adam(case.rate), weighting=weighting, rows=rows)


def batch_of(case: Case) -> dict[str, np.ndarray]:
    """Noise for pictures, and a label for every task."""
    draw = np.random.default_rng(0)
    images = draw.normal(size=(case.batch, case.side, case.side, 1)).astype(np.float32)
    labels = draw.integers(0, case.classes, (case.tasks, case.batch)).astype(np.int32)
    return {"images": images, **{f"t{i}": line for i, line in enumerate(labels)}}


class Built(NamedTuple):
    """A contender: a function that takes `steps` steps, and what its program says of itself."""

    step: Step
    steps: int = 1
    flops: float = 0.0
    temporary: float = 0.0


def _waiting(function: Callable, *args: Any) -> Built:
    """A pure function to be timed alone."""
    compiled = parallel.compile_function(function)
    return Built(lambda: jax.block_until_ready(compiled(*args)))


def framework(case: Case, weighting: Weighting | Aggregator, rows: Rows) -> Built:
    """The framework's update, as `parallel` compiles it; operations and memory are XLA's."""
    slices = weighting.num_batches if isinstance(weighting, Aggregator) else 1
    batch = batch_of(case._replace(batch=case.batch - case.batch % slices))
    updater = alternating(game(case, weighting, rows))
    batch = jax.tree.map(jnp.asarray, batch)
    key = jax.random.key(0)
    state = updater.init(key, batch)
    played = [i == 0 for i in range(rows.every)]
    programs = {}
    for now in set(played):
        due = (now,) if updater.periods else ()
        update = parallel.compile_function(
            functools.partial(updater.update, due=due), donate_argnums=1
        )
        programs[now] = update.lower(key, state, batch).compile()

    def steps():
        nonlocal state
        for now in played:
            state, _ = programs[now](key, state, batch)
            jax.block_until_ready(state)

    flops = statistics.mean(programs[now].cost_analysis()["flops"] for now in played)
    temporary = max(p.memory_analysis().temp_size_in_bytes for p in programs.values())
    return Built(steps, len(played), flops, temporary)


def parts(case: Case) -> dict[str, Built]:
    """What a step is made of: the forward pass, it with the backward pass of the sum, Adam."""
    turn = game(case, mtl.equal()).turns[0]
    batch, key = jax.tree.map(jnp.asarray, batch_of(case)), jax.random.key(0)
    state = alternating(game(case, mtl.equal())).init(key, batch)
    context = Context(key, jnp.zeros((), jnp.int32))

    def total(params):
        found = turn.losses(Variables(params, state.state), batch, context).losses
        return sum(loss.values.mean() for loss in found.values())

    def update(grads, opt, params):
        updates, opt = turn.optimizer.update(grads, opt, params)  # pyright: ignore
        return optax.apply_updates(params, updates), opt

    return {
        "forward": _waiting(total, state.params),
        "gradient": _waiting(jax.grad(total), state.params),
        "update": _waiting(update, state.params, state.opt[turn.name], state.params),
    }


def solver(case: Case, weighting: Weighting) -> Built:
    """A weighting alone, on the Gramian of rows that are in conflict."""
    rows = np.random.default_rng(1).normal(size=(case.tasks, case.tasks + 1)).astype(np.float32)
    losses, products = jnp.full(case.tasks, 2.3), jnp.asarray(rows @ rows.T)
    return _waiting(
        weighting.update, jax.random.key(0), losses, products, weighting.init(case.tasks)
    )


def jax_contenders(case: Case, only: tuple[str, ...]) -> dict[str, Built]:
    """The framework's steps, the parts of a step and the solvers, by name."""
    found = {f"part/{name}": built for name, built in parts(case).items()}
    for name, (weighting, rows) in chosen(case, only).items():
        found[name] = framework(case, weighting, rows)
        if isinstance(weighting, Weighting) and weighting.needs_gramian:
            found[f"solver/{name}"] = solver(case, weighting)
    return found


def chosen(case: Case, only: tuple[str, ...]) -> dict[str, tuple[Weighting | Aggregator, Rows]]:
    """The methods of a case, `equal` first."""
    found = methods(case.tasks)
    wanted = ("equal", *only) if only else SOME.get(case.tasks, tuple(found))
    return {name: way for name, way in found.items() if name in wanted}


def serve(connection: Any, case: Case, config: Config, framework: str) -> None:
    """A framework in its own process: says what it has, then times blocks of what it is asked."""
    if config.one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if framework == "jax":
        jax.config.update("jax_platforms", "cpu")
        if not config.one_core:  # programs are made for the cores at hand, the cache does not ask
            parallel.enable_compilation_cache()
        keep_memory()
        found = jax_contenders(case, config.only)
    else:
        from experiments import _torchjd

        steps = _torchjd.contenders(
            case, batch_of(case), tuple(chosen(case, config.only)), speed.cores()
        )
        found = {name: Built(step) for name, step in steps.items()}
    connection.send({name: (built.flops, built.temporary) for name, built in found.items()})
    while (asked := connection.recv()) is not None:
        name, seconds = asked
        times = speed.block(found[name].step, seconds)
        clock = 1 if config.one_core else 0
        connection.send([both[clock] / found[name].steps for both in times])


def measure(config: Config, case: Case) -> list[dict[str, Any]]:
    """The rows of a case: all contenders in turn, block by block, `rounds` times."""
    context = multiprocessing.get_context("spawn")
    lines, facts = {}, {}
    for framework in ("jax", "torch") if has_torchjd() else ("jax",):
        ours, theirs = context.Pipe()
        arguments = (theirs, case, config, framework)
        context.Process(target=serve, args=arguments, daemon=True).start()
        for name, said in ours.recv().items():
            lines[framework, name], facts[framework, name] = ours, said
    print(f"{case.network}, {case.tasks} tasks: compiled, now timed", flush=True)
    times: dict[tuple[str, str], list[float]] = {name: [] for name in lines}
    for round_ in range(config.rounds + 1):
        for (framework, name), line in lines.items():
            line.send((name, config.block_seconds))
            found = line.recv()
            times[framework, name] += found if round_ else []  # the first round warms up
    for line in set(lines.values()):
        line.send(None)
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return [_row(case, name, medians, facts) for name in chosen(case, config.only)]


def _row(case: Case, name: str, medians: Mapping, facts: Mapping) -> dict[str, Any]:
    """One method: against equal weights, against its parts, against TorchJD."""
    ms, equal = medians["jax", name], medians["jax", "equal"]
    forward, gradient, update = (medians["jax", f"part/{p}"] for p in PARTS)
    forwards, backwards = passes(*methods(case.tasks)[name], case.tasks)
    needed = forwards * forward + backwards * (gradient - forward) + update
    ways = [way for who, way in medians if who == "torch" and way.split("/")[0] == name]
    best = min(ways, key=lambda way: medians["torch", way], default=None)
    peer = None if best is None else medians["torch", best]
    flops, temporary = (facts["jax", name][i] / max(facts["jax", "equal"][i], 1) for i in (0, 1))
    alone = medians.get(("jax", f"solver/{name}"))
    return {
        "network": case.network,
        "tasks": case.tasks,
        "method": name,
        "backward_passes": backwards,
        "flops": round(flops, 4),
        "temporary_memory": round(temporary, 3),
        "ms": round(ms, 3),
        "times_equal": round(ms / equal, 3),
        "times_parts": round(ms / needed, 3),
        "parts_ms": [round(x, 3) for x in (forward, gradient - forward, update)],
        "solver_ms": None if alone is None else round(alone, 4),
        "torchjd_ms": None if peer is None else round(peer, 3),
        "torchjd_way": best,
        "torchjd_over_ours": None if peer is None else round(peer / ms, 3),
    }


def has_torchjd() -> bool:
    """Whether PyTorch and TorchJD are installed."""
    return all(importlib.util.find_spec(name) for name in ("torch", "torchjd"))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows for people."""
    lines = []
    for before, row in zip([None, *rows], rows, strict=False):
        case = (row["network"], row["tasks"])
        if before is None or case != (before["network"], before["tasks"]):
            forward, backward, update = row["parts_ms"]
            lines += [
                "" if before else None,
                f"{case[0]}, {case[1]} tasks: F {forward:.2f} ms, B {backward:.2f} ms, "
                f"update {update:.2f} ms; rows (1 + 2 K) / 3 = {(1 + 2 * case[1]) / 3:.2f}",
                f"{'':16} {'operations':>10} {'memory':>7} {'time':>6} {'/ parts':>8} "
                f"{'solver':>7} {'ms':>8} {'TorchJD':>9} {'over ours':>10}",
            ]
        alone, peer = row["solver_ms"], row["torchjd_ms"]
        lines.append(
            f"{row['method']:16} {row['flops']:10.2f} {row['temporary_memory']:7.2f} "
            f"{row['times_equal']:6.2f} {row['times_parts']:8.2f} "
            f"{'-' if alone is None else format(alone / row['ms'], '.1%'):>7} {row['ms']:8.2f} "
            f"{'-' if peer is None else format(peer, '.2f'):>9} "
            f"{'-' if peer is None else format(row['torchjd_over_ours'], '.2f'):>10}"
        )
    if not any(row["torchjd_ms"] for row in rows):
        lines.append(
            "TorchJD is not installed; its columns are left out (pip install gan_mtl[bench])."
        )
    return "\n".join(line for line in lines if line is not None)


def main(config: Config = CONFIG, argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures, prints the table and writes it to `config.out`."""
    config = tyro.cli(Config, default=config, args=argv, prog="python -m experiments.mtl_cost")
    known = {"networks": NETWORKS, "only": tuple(methods(3))}
    for option, names in known.items():
        if unknown := sorted(set(getattr(config, option)) - set(names)):
            raise SystemExit(f"--{option} {unknown[0]} is not one of {', '.join(names)}.")
    if wrong := [count for count in config.tasks if count < 2]:
        raise SystemExit(f"--tasks {wrong[0]}: give 2 or more tasks.")
    if config.smoke:
        config = replace(config, rounds=1, block_seconds=1e-9, tasks=(2,), only=("famo", "mgda"))
    before = speed.environment(config, "mtl_cost")
    rows = []
    for network in config.networks:
        for tasks in config.tasks:
            case = Case(network, tasks)
            found = measure(config, case._replace(batch=12, width=8) if config.smoke else case)
            print(f"\n{table(found)}", flush=True)
            rows += found
    print(f"load average {before['load_average']} before, {list(os.getloadavg())} after")
    if not config.smoke:
        torchjd = importlib.metadata.version("torchjd") if has_torchjd() else None
        versions = {**before["versions"], "torchjd": torchjd}
        found = {**before, "versions": versions, "rows": rows}
        write(config.out, json.dumps(found, indent=1))
    return rows


if __name__ == "__main__":
    main()
