"""The training loop: one arm, its seeds side by side, from the last checkpoint to DONE.

It takes functions (a game, an evaluation, writers) and is not forked. The order within a pass is
fixed: update, log (and look for non-finite losses), look at relations, sample, evaluate, save.
What is saved has been looked at.
"""

from __future__ import annotations

import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_mtl import parallel
from gan_mtl.data import Dataset, Stream
from gan_mtl.gradients import take_slice
from gan_mtl.run import checkpoints as checkpoints_lib
from gan_mtl.run import conflicts, meta, products, watch
from gan_mtl.run import feed as feed_lib
from gan_mtl.run import writers as writers_lib
from gan_mtl.run.config import Arm, Config, Spec
from gan_mtl.run.evaluate import Evaluation, FeatureNetwork, evaluator
from gan_mtl.types import Game, TrainState
from gan_mtl.update import alternating, variables_of


class Cell(NamedTuple):
    """One run: an arm under a label count and a seed, in its own folder.

    labels: visible labels in all; None where all are visible. data: its fold, if there are any.
    """

    arm: str
    labels: int | None
    seed: int
    folder: pathlib.Path
    data: str | None = None

    @property
    def name(self) -> str:
        """How people call it."""
        few = "" if self.labels is None else f"{self.labels} labels, "
        return f"{self.arm}, {self.data + ', ' if self.data else ''}{few}seed {self.seed}"


class Interrupted(Exception):
    """Raised after saving when the user has asked to stop."""


class NonFiniteLossError(FloatingPointError):
    """A loss, gradient or parameter is not finite; the message says where, and the way back."""


class Progress(NamedTuple):
    """What the loop tells a person: `line(text)`, and a bar from `bar(total, start)`."""

    line: Callable[[str], None]
    bar: Callable[[int, int], writers_lib.Writer]


DUE = ("log", "relations", "sample", "eval", "save")
SILENT = Progress(lambda text: None, lambda total, start: writers_lib.silent())


def train(
    config: Config,
    arm: Arm,
    spec: Spec,
    cells: Sequence[Cell],
    datasets: Sequence[Dataset],
    *,
    features: FeatureNetwork | None = None,
    progress: Progress = SILENT,
    stop: Callable[[], bool] = lambda: False,
    restore_step: int | None = None,
) -> list[dict[str, Any]]:
    """Trains the cells of one arm that differ only in their seed, and evaluates them.

    Args:
        cells: one per seed; a folder with checkpoints is resumed.
        datasets: one per cell, with hidden labels hidden.
        stop: looked at after every call; True saves and raises `Interrupted`.
        restore_step: resume from this checkpoint in place of the latest.

    Returns:
        The final scores of each cell, as written to its DONE.

    Raises:
        Interrupted: after saving.
        NonFiniteLossError: the last good checkpoint is left as it is.
    """
    assert arm.build is not None
    game = arm.build(arm.settings, spec)
    run = _prepare(config, game, spec, cells, datasets, progress)
    try:
        start, state = _begin(config, run, cells, restore_step, progress)
        run.writers.extend(
            products.open_writer(config, cell.folder, cell.name, start) for cell in cells
        )
        bar = progress.bar(config.steps, start)
        try:
            scores = _advance(config, run, cells, start, state, spec, bar, stop, features)
        finally:
            bar.close()
        for store in run.stores:
            store.wait()
    finally:
        for store in run.stores:
            store.close()
        for writer in run.writers:
            writer.close()
    for cell, found in zip(cells, scores, strict=True):
        found |= conflicts.summary(cell.folder)
        products.write_done(cell.folder, found)
    return scores


class _Run(NamedTuple):
    game: Game
    compiled: parallel.Compiled
    feed: feed_lib.Feed
    finite: Callable  # params to a truth value by group
    kept: dict[str, Any]  # {"data": ...} where the data stays on the devices
    datasets: Sequence[Dataset]
    roots: jax.Array  # one key per cell
    stores: list[checkpoints_lib.Checkpoints]
    writers: list[writers_lib.Writer]
    bind: Callable
    cells: Sequence[Cell]
    streams: Sequence[Stream]
    look: Callable | None  # at the relations of the objectives
    share: int  # one part in so many of a batch is looked at


def _prepare(config, game, spec, cells, datasets, progress) -> _Run:
    """Everything that is compiled or opened once for the arm's cells."""
    repeats = max(turn.repeats for turn in game.turns)
    count = len(cells)
    streams = [
        feed_lib.open_stream(config, data, cell.seed, repeats)
        for cell, data in zip(cells, datasets, strict=True)
    ]
    roots = jax.vmap(jax.random.key)(np.asarray([cell.seed for cell in cells], np.uint32))
    updater = alternating(game, accumulate=config.accumulate)
    first = streams[0].batch(0)
    if config.check:
        parallel.dead_term_check(game, first, roots[0])
    look = None
    if relations_every(config) and config.model_axis == 1:  # else a state fills several devices
        look = conflicts.looker(game)
    resident = feed_lib.choose_resident(streams[0], config.resident, jax.default_backend())
    compiled = parallel.compile_update(
        updater,
        mode=config.parallel,
        num_devices=config.devices,
        model=config.model_axis,
        seeds=count,
        vmap_seeds=config.vmap_seeds,
        steps_per_call=config.steps_per_call or parallel.steps_that_divide(*_marks(config)),
        gather=streams[0].gather if resident else None,
        example=(roots[0], first),
    )
    for name, value in (("save_every", config.save_every), ("steps", config.steps)):
        if value % compiled.steps_per_call:
            raise ValueError(
                f"{name}={value} must be a multiple of steps_per_call={compiled.steps_per_call}."
            )
    progress.line(f"  {compiled.description}{', data resident' if resident else ''}")
    if look is not None:
        progress.line(f"  relations: looked at every {relations_every(config)} steps")
    kept = {"data": compiled.keep([s.arrays or {} for s in streams])} if resident else {}
    keys_of = parallel.compile_function(feed_lib.step_keys)
    return _Run(
        game,
        compiled,
        feed_lib.feed(streams, roots, keys_of, compiled.steps_per_call, resident),
        parallel.compile_function(watch.all_finite),
        kept,
        datasets,
        roots,
        [
            checkpoints_lib.open_checkpoints(
                cell.folder / "checkpoints",
                keep=config.keep,
                best=config.best,
                best_mode=config.best_mode,
            )
            for cell in cells
        ],
        [],
        evaluator(game, spec),
        cells,
        streams,
        None if look is None else parallel.compile_function(look),
        _share(first, repeats, config.accumulate * compiled.num_devices),
    )


def _share(batch: Mapping[str, np.ndarray], repeats: int, parts: int) -> int:
    """In how many equal slices a batch is cut that a look takes one of: at most `parts`."""
    return math.gcd(parts, *(len(x) // repeats for x in batch.values()))


def _marks(config: Config) -> list[int]:
    """The step counts at which a call has to end."""
    every = (config.log_every, config.save_every, config.eval_every, config.sample_every)
    return [config.steps, *filter(None, (*every, relations_every(config)))]


def _begin(config, run: _Run, cells, restore_step, progress) -> tuple[int, Any]:
    """A fresh state, or that of the latest step that all cells have a checkpoint of."""
    state = _first_state(run)
    common = set(run.stores[0].steps())
    for store in run.stores[1:]:
        common &= set(store.steps())
    if restore_step is not None and restore_step not in common:
        raise ValueError(f"restore_step={restore_step}: there are checkpoints {sorted(common)}.")
    if not common:
        for cell in cells:
            products.write_reals(cell.folder, run.datasets[run.cells.index(cell)])
            products.truncate(cell.folder, 0)
        return 0, state
    step = max(common) if restore_step is None else restore_step
    restored = [
        store.restore(like, step)
        for store, like in zip(run.stores, run.compiled.split(state), strict=True)
    ]
    for cell, data, found in zip(cells, run.datasets, restored, strict=True):
        meta.check(found.meta, config, data, cell.folder)
    for cell, store in zip(cells, run.stores, strict=True):
        store.discard_after(step)
        products.truncate(cell.folder, step)
    progress.line(f"  resumed from step {step}")
    return step, run.compiled.join([found.state for found in restored])


def _first_state(run: _Run) -> Any:
    keys = jax.vmap(first_key)(run.roots)
    return run.compiled.init(keys if len(run.cells) > 1 else keys[0], run.feed.example)


def first_key(root: jax.Array) -> jax.Array:
    """The key of a cell's initial parameters, from that of its seed."""
    return jax.random.fold_in(root, 1)


def _advance(config, run: _Run, cells, start, state, spec, bar, stop, features):
    """The steps from `start` to the end; the final scores of every cell."""
    compiled, count = run.compiled, len(cells)
    waiting: list[tuple[int, dict[str, jax.Array]]] = []
    logged, clock = start, time.perf_counter()
    found: list[dict[str, Any]] = [{} for _ in cells]
    for step in range(start, config.steps, compiled.steps_per_call):
        batch = compiled.put(run.feed.batch(step))
        state, metrics = compiled.update(step, run.feed.keys(step), state, batch, **run.kept)
        waiting.append((step, metrics))
        done = step + compiled.steps_per_call
        due = {name: _due(config, name, step, done) for name in DUE}
        stopping = stop()
        if due["log"] or due["save"] or stopping:
            losses = _log(run, cells, waiting, done, compiled.steps_per_call, logged, clock)
            bar.scalars(done, losses)
            waiting, logged, clock = [], done, time.perf_counter()
        if due["relations"] and run.look is not None:
            _relate(run, cells, state, done)
        if due["sample"] and run.game.sample is not None:
            _write_samples(config, run, cells, state, done)
        found = [{} for _ in cells]
        if due["eval"]:
            found = [_evaluate(config, run, i, state, spec, features, done) for i in range(count)]
        if due["save"] or stopping:
            _save(config, run, state, done, found)
        if stopping and done < config.steps:
            for store in run.stores:
                store.wait()
            raise Interrupted(f"stopped at step {done} of {config.steps}; saved.")
    if start == config.steps:  # saved, but DONE was not written when it was stopped
        steps = config.steps
        for cell in cells:
            writers_lib.truncate_after(cell.folder / products.SCORES, steps - 1)
        found = [_evaluate(config, run, i, state, spec, features, steps) for i in range(count)]
    return [{"step": config.steps, **scores} for scores in found]


def _due(config: Config, what: str, before: int, done: int) -> bool:
    every = relations_every(config) if what == "relations" else getattr(config, f"{what}_every")
    if every and done // every > before // every:
        return True
    return done == config.steps and (what not in ("sample", "relations") or every > 0)


def relations_every(config: Config) -> int:
    """Steps between looks at relations: a tenth of the run where it is left open."""
    if config.relations_every is not None:
        return config.relations_every
    return max(config.steps // 10 // config.log_every, 1) * config.log_every


def _log(run: _Run, cells, waiting, done, steps_per_call, logged, clock) -> dict[str, float]:
    """Looks at every step's losses, then writes their means; returns those of the first cell.

    Args:
        logged, clock: step and time of the last line, for the rate since then.
    """
    host = [(step, jax.device_get(metrics)) for step, metrics in waiting]
    shape = (len(host), steps_per_call, len(cells))
    values = {
        name: np.stack([np.asarray(m[name], np.float64) for _, m in host]).reshape(shape)
        for name in host[0][1]
    }
    flat = {name: v.reshape(-1, len(cells)) for name, v in values.items()}
    broken = watch.broken_values(run.game, flat, host[0][0])
    if broken is not None:
        raise NonFiniteLossError(_way_back(run, cells[broken.seed], broken.what))
    speed = (done - logged) / (time.perf_counter() - clock)
    shown: dict[str, float] = {}
    for i, writer in enumerate(run.writers):
        means = {name: _mean(v[:, :, i]) for name, v in values.items()}
        writer.scalars(done, {**means, "time/steps_per_s": speed})
        shown = shown or {n: v for n, v in means.items() if v is not None and math.isfinite(v)}
    return shown


def _mean(values: np.ndarray) -> float:
    """The mean over the steps that have a value (lazy objectives have few)."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _way_back(run: _Run, cell: Cell, what: str) -> str:
    latest = run.stores[run.cells.index(cell)].latest()
    back = (
        "there is no checkpoint yet"
        if latest is None
        else f"the checkpoint of step {latest} is good"
    )
    return (
        f"{what} ({cell.name}). Nothing after it was saved; {back}. Lower the learning rate, bound "
        "the loss, or look at the data."
    )


def _evaluate(config, run: _Run, i, state, spec, features, step) -> dict[str, Any]:
    """One cell's scores; written to its eval.jsonl."""
    one: TrainState = run.compiled.split(state)[i]
    predict, sample = run.bind(jax.device_get(variables_of(one)), run.cells[i].seed)

    def fresh():
        began = run.compiled.split(_first_state(run))[i]
        return run.bind(jax.device_get(variables_of(began)), run.cells[i].seed)[0]

    asked = Evaluation(
        run.game, predict, sample, run.datasets[i], spec, features, run.cells[i].seed, fresh
    )
    scores = config.evaluate(asked)
    if config.best is not None and config.best not in scores:
        raise ValueError(f"best={config.best!r} is no score of this experiment: {sorted(scores)}.")
    products.write_scores(run.cells[i].folder, step, scores, asked)
    return scores


def _save(config, run: _Run, state, step, scores) -> None:
    """Saves every cell's state, after a look at all of them.

    Losses are of before their update: a step may break the parameters with losses still finite.
    """
    states = run.compiled.split(state)
    for cell, one in zip(run.cells, states, strict=True):
        finite = jax.device_get(run.finite(one.params))
        what = watch.broken_parameters(run.game, finite, step)
        if what is not None:
            raise NonFiniteLossError(_way_back(run, cell, what))
    for i, (store, one, found) in enumerate(zip(run.stores, states, scores, strict=True)):
        numbers = {k: float(v) for k, v in found.items() if isinstance(v, int | float)}
        said = meta.of(config, run.datasets[i], run.cells[i].seed, step)
        store.save(step, one, said, numbers or None)


def _write_samples(config, run: _Run, cells, state, step) -> None:
    for i, (cell, one) in enumerate(zip(cells, run.compiled.split(state), strict=True)):
        _, sample = run.bind(jax.device_get(variables_of(one)), cell.seed)
        products.write_samples(config, cell.folder, run.game, sample, run.writers[i], step)


def _relate(run: _Run, cells, state, step) -> None:
    """Every cell's conflicts on one device's share of the batch that comes next; nothing moves."""
    assert run.look is not None
    for i, (cell, one) in enumerate(zip(cells, run.compiled.split(state), strict=True)):
        key = jax.random.fold_in(jax.random.fold_in(run.roots[i], 3), step)
        batch = take_slice(run.streams[i].batch(step), 0, run.share)
        found = run.look(key, jax.device_get(one), batch)
        products.append(cell.folder / conflicts.FILE, step, jax.device_get(found))
