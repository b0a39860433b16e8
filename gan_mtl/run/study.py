"""A study: folds, label counts, arms, seeds; every cell a run folder with its own DONE.

Finished cells are skipped, a broken one is resumed, and the table is written from what exists.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gan_mtl import data as data_lib
from gan_mtl import table
from gan_mtl.data import Dataset
from gan_mtl.run import products, record, report
from gan_mtl.run.checkpoints import saved_steps
from gan_mtl.run.config import Arm, Config, Spec, chosen_arms, to_json
from gan_mtl.run.evaluate import FeatureNetwork, scoring_network
from gan_mtl.run.load import trained
from gan_mtl.run.loop import SILENT, Cell, Progress, train
from gan_mtl.run.whole import write
from gan_mtl.run.writers import read_jsonl


def new_workdir(config: Config, root: str = "runs") -> pathlib.Path:
    """The next numbered folder under runs/NAME."""
    home = pathlib.Path(root) / config.name
    taken = [int(p.name) for p in home.glob("[0-9]*") if p.name.isdigit()] if home.exists() else []
    return home / f"{max(taken, default=0) + 1:04d}"


def cells_of(config: Config, workdir: pathlib.Path) -> list[Cell]:
    """All cells of the study, in the order in which they run."""
    return [
        Cell(
            name,
            labels,
            seed,
            home_of(workdir, fold) / (f"labels-{labels}" if labels else "") / name / f"seed-{seed}",
            fold,
        )
        for fold in config.folds or (None,)
        for labels in config.labels or (None,)
        for name in chosen_arms(config)
        for seed in range(config.seed, config.seed + config.seeds)
    ]


def home_of(workdir: pathlib.Path, fold: str | None) -> pathlib.Path:
    """Where the cells of a fold are: a folder of its own, unless there is one data set."""
    return workdir if fold is None else workdir / re.sub(r"[^\w.+-]+", "_", fold)


def on_fold(config: Config, fold: str | None) -> Config:
    """The config with the fold as its data set."""
    return config if fold is None else dataclasses.replace(config, data=fold, folds=())


def load_data(config: Config) -> Dataset:
    """The data set with every label, and its validation part carved out."""
    dataset = data_lib.load(config.data, config.data_dir, config.size)
    if config.validation:
        dataset = data_lib.with_validation(dataset, config.validation, seed=0)
    check_batches(config, dataset)
    return dataset


def check_batches(config: Config, dataset: Dataset) -> None:
    """Raises ValueError, by name, for label counts and batches that the data does not allow."""
    for labels in config.labels:
        if not dataset.num_classes:
            raise ValueError(f"labels={labels}, but {config.data!r} has no labels.")
        classes = classes_drawn(dataset)
        if labels % classes:
            raise ValueError(
                f"labels={labels} is not a multiple of the {classes} classes of {config.data!r}; "
                f"draws are class-balanced: use {max(labels // classes, 1) * classes}."
            )
    if dataset.sources and config.labelled_batch_size and not config.labels:
        raise ValueError(
            f"labelled_batch_size={config.labelled_batch_size}, but {config.data!r} is joined and "
            "shows all labels: give `labels`, how many of its last source show, or use 0."
        )
    for name, count in _counts(config, dataset).items():
        seen = round(count * config.fraction)
        if config.batch_size > seen:
            part = f" (a fraction of {config.fraction:g})" if config.fraction < 1 else ""
            raise ValueError(
                f"batch_size={config.batch_size}, but {name!r} has {seen} training images{part}."
            )


def _counts(config: Config, dataset: Dataset) -> dict[str, int]:
    """Training images by source; of a plain data set by what it was asked for as."""
    if not dataset.sources:
        return {config.data: dataset.train.num_examples}
    parts = {s.name: data_lib.part(dataset, dataset.train, s.name) for s in dataset.sources}
    return {name: part.num_examples for name, part in parts.items()}


def visible_data(dataset: Dataset, cell: Cell, fraction: float = 1.0) -> Dataset:
    """The data set as the cell's training may see it."""
    dataset = data_lib.with_fraction(dataset, fraction, cell.seed)
    if cell.labels is None:
        return dataset
    return data_lib.with_labels(dataset, cell.labels // classes_drawn(dataset), cell.seed)


def classes_drawn(dataset: Dataset) -> int:
    """How many classes labels are drawn of: of a joined data set those of the last source."""
    return dataset.sources[-1].num_classes if dataset.sources else dataset.num_classes


def spec_of(config: Config, dataset: Dataset) -> Spec:
    """What the games have to know of the data."""
    targets = {k: (x.shape[1:], str(x.dtype)) for k, x in dataset.train.targets.items()}
    shape = dataset.train.images.shape[1:]
    sources = {source.name: source.num_classes for source in dataset.sources}
    return Spec(shape, dataset.num_classes, config.value_range, config.steps, targets, sources)


def run_study(
    config: Config,
    origin: record.Origin,
    workdir: pathlib.Path,
    *,
    progress: Progress = SILENT,
    stop: Callable[[], bool] = lambda: False,
    restore_step: int | None = None,
) -> dict[str, Any]:
    """Runs what is missing of a study, and writes its table.

    Returns:
        The results: config, environment, cells with their scores, and the table.

    Raises:
        ValueError: for a workdir of another config, with the fields that differ.
    """
    record.claim(config, origin, workdir)
    _check_restore_step(cells_of(config, workdir), restore_step)
    features = None
    for fold in config.folds or (None,):
        features = _run_fold(config, origin, workdir, fold, progress, stop, restore_step)
    protocol: dict[str, Any] | None = None
    if features is not None:
        protocol = {"name": features.name, "hash": features.digest, "accuracy": features.accuracy}
    return _written(collect(config, origin, workdir, protocol), workdir)


def gather(config: Config, origin: record.Origin, workdir: pathlib.Path) -> dict[str, Any]:
    """The results of the cells that are done, written like those of `run_study`; trains nothing.

    The feature network is that of the results that were written before.

    Raises:
        ValueError: for a workdir without a study, or of another config.
    """
    if not (workdir / "config.json").exists():
        raise ValueError(f"workdir={str(workdir)!r} holds no study whose runs could be collected.")
    record.claim(config, origin, workdir)
    before = workdir / "results.json"
    known = json.loads(before.read_text())["feature_network"] if before.exists() else None
    return _written(collect(config, origin, workdir, known), workdir)


def _written(results: dict[str, Any], workdir: pathlib.Path) -> dict[str, Any]:
    write(workdir / "results.json", json.dumps(results, indent=1))
    write(workdir / "table.md", results["table"])
    if all(cell["scores"] is not None for cell in results["cells"]):
        write(workdir / "DONE", results["table"])
    return results


def _run_fold(
    config: Config, origin, workdir: pathlib.Path, fold, progress: Progress, stop, restore_step
) -> FeatureNetwork | None:
    """Runs what is missing of one fold, or of the only data set; returns what scores samples."""
    home, whole = home_of(workdir, fold), config
    config = on_fold(config, fold)
    home.mkdir(exist_ok=True)
    if fold is not None:
        progress.line(f"{fold}:")
    dataset = load_data(config)
    spec = spec_of(config, dataset)
    record.claim_data(dataset, home)
    arms = chosen_arms(config)
    games = {n: arm.build(arm.settings, spec) for n, arm in arms.items() if arm.build is not None}
    features = scoring_network(config, dataset, games.values(), workdir.parent)
    if features is not None:
        progress.line(
            f"feature network: {features.name}, test accuracy {features.accuracy:.1%}, "
            f"hash {features.digest}"
        )
    write(home / "games.txt", tables(config, spec))
    cells = [cell for cell in cells_of(whole, workdir) if cell.data == fold]
    for labels in config.labels or (None,):
        for name, arm in arms.items():
            group = [cell for cell in cells if (cell.arm, cell.labels) == (name, labels)]
            missing = [cell for cell in group if not (cell.folder / "DONE").exists()]
            if not missing:
                continue
            progress.line(f"{name}: {arm.text or 'no description'}")
            visible = [visible_data(dataset, cell, config.fraction) for cell in missing]
            for cell, data in zip(missing, visible, strict=True):
                _open_cell(whole, origin, cell, spec, games.get(name))
                write(cell.folder / "manifest.json", json.dumps(data.manifest, indent=1))
            if arm.fit is not None:
                _fit(arm, missing, visible, config)
            else:
                _train(config, arm, spec, missing, visible, features, progress, stop, restore_step)
            for cell in missing:
                report.write_report(cell.folder)
    return features


def _train(config, arm, spec, cells, datasets, features, progress, stop, restore_step) -> None:
    """Cells that have come equally far run together; others one after another.

    `restore_step` is for the cells that have it; the others go on from their latest. Cells that go
    on from what another arm has trained are a game each.
    """
    if arm.after:
        before = config.arms[arm.after]
        for cell, dataset in zip(cells, datasets, strict=True):
            folder = cell.folder.parent.parent / arm.after / cell.folder.name
            found = trained(config, before, spec, folder, cell.seed)
            build = functools.partial(arm.build, trained=found)
            own = dataclasses.replace(arm, build=build, after="")
            _train(config, own, spec, [cell], [dataset], features, progress, stop, restore_step)
        return
    by_step: dict[int | None, list[int]] = {}
    for i, cell in enumerate(cells):
        by_step.setdefault(_way(cell, restore_step), []).append(i)
    for step, members in by_step.items():
        train(
            config,
            arm,
            spec,
            [cells[i] for i in members],
            [datasets[i] for i in members],
            features=features,
            progress=progress,
            stop=stop,
            restore_step=step if step == restore_step else None,
        )


def _way(cell: Cell, restore_step: int | None) -> int | None:
    """The step that a cell goes on from: the one asked for where it has it, else its latest."""
    steps = saved_steps(cell.folder / "checkpoints")
    return restore_step if restore_step in steps else max(steps, default=None)


def _check_restore_step(cells: Sequence[Cell], restore_step: int | None) -> None:
    """Raises ValueError unless an unfinished cell has that checkpoint."""
    left = [cell for cell in cells if not (cell.folder / "DONE").exists()]
    saved = {cell.name: saved_steps(cell.folder / "checkpoints") for cell in left}
    if restore_step is None or any(restore_step in steps for steps in saved.values()):
        return
    there = "; ".join(f"{name}: {list(steps)}" for name, steps in saved.items() if steps)
    raise ValueError(
        f"restore_step={restore_step}: no unfinished run has this checkpoint. There are: "
        f"{there or 'none'}."
    )


def _fit(arm: Arm, cells: Sequence[Cell], datasets: Sequence[Dataset], config: Config) -> None:
    assert arm.fit is not None
    for cell, dataset in zip(cells, datasets, strict=True):
        scores = arm.fit(arm.settings, dataset, cell.seed)
        write(cell.folder / "DONE", json.dumps({"step": config.steps, **scores}))


def tables(config: Config, spec: Spec) -> str:
    """The table of every arm's game, as --dry-run prints it."""
    blocks = []
    for name, arm in chosen_arms(config).items():
        if arm.build is None:
            blocks.append(f"{name}: {arm.text} (no game)")
            continue
        game = arm.build(arm.settings, spec)
        blocks.append(f"{name}: {arm.text}\n\n{table.render(game)}")
    return "\n\n".join(blocks)


def _open_cell(config: Config, origin: record.Origin, cell: Cell, spec: Spec, game: Any) -> None:
    cell.folder.mkdir(parents=True, exist_ok=True)
    of = {"arm": cell.arm, "labels": cell.labels, "seed": cell.seed, "spec": to_json(spec)}
    of |= {} if cell.data is None else {"data": cell.data}
    record.write_record(config, origin, cell.folder, cell=of)
    if game is not None:
        write(cell.folder / "game.txt", table.render(game))


def collect(
    config: Config,
    origin: record.Origin,
    workdir: pathlib.Path,
    protocol: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The study's results from the cells that are done; the scores of others are None.

    Args:
        protocol: name, hash and accuracy of the feature network, if there is one.
    """
    found = []
    for cell in cells_of(config, workdir):
        done = cell.folder / "DONE"
        scores = json.loads(done.read_text()) if done.exists() else None
        one = {"arm": cell.arm, "labels": cell.labels, "seed": cell.seed, "scores": scores}
        one |= {} if cell.data is None else {"data": cell.data}
        if config.eval_every:
            one["evaluations"] = read_jsonl(cell.folder / products.SCORES)
        found.append(one)
    return {
        "experiment": origin.module,
        "command": record.command(origin, record.PLACES),
        "preset": origin.preset,
        "environment": record.environment(),
        "feature_network": protocol,
        "config": to_json(config),
        "cells": found,
        "table": config.tabulate(config, found),
    }
