"""What a cell leaves in its folder beside checkpoints: lines, pictures, DONE."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gan_mtl.data import Dataset, to_float, to_uint8
from gan_mtl.run import conflicts, predictions, sounds
from gan_mtl.run import images as images_lib
from gan_mtl.run import writers as writers_lib
from gan_mtl.run.config import Config
from gan_mtl.run.evaluate import Evaluation, unit_range
from gan_mtl.run.whole import write
from gan_mtl.types import Game

METRICS, SCORES = "metrics.jsonl", "eval.jsonl"
LINES = (METRICS, SCORES, conflicts.FILE)
SIDE = 10  # pictures along each side of a grid


def open_writer(config: Config, folder: pathlib.Path, name: str, start: int) -> writers_lib.Writer:
    """The cell's writers; to be opened once its files hold nothing after `start`."""
    found = [writers_lib.jsonl(folder / METRICS)]
    if config.tensorboard:
        found.append(writers_lib.tensorboard(folder / "tensorboard", resumed_at=start or None))
    if config.wandb:
        found.append(writers_lib.wandb(config.wandb, name=f"{config.name}: {name}"))
    return writers_lib.multi(*found)


def truncate(folder: pathlib.Path, step: int) -> None:
    """Drops the lines of steps that are played again."""
    for name in LINES:
        writers_lib.truncate_after(folder / name, step)


def append(path: pathlib.Path, step: int, values: Mapping[str, Any]) -> None:
    """One line."""
    log = writers_lib.jsonl(path)
    log.scalars(step, values)
    log.close()


def write_scores(
    folder: pathlib.Path, step: int, scores: Mapping[str, Any], asked: Evaluation
) -> None:
    """The line of an evaluation, and pictures of what the heads on maps say by now."""
    append(folder / SCORES, step, scores)
    limits = asked.spec.value_range
    predictions.write(folder, asked.game, asked.predict, asked.dataset, limits, f"step {step}")


def write_reals(folder: pathlib.Path, dataset: Dataset) -> None:
    """The first training images; of a joined data set a column per source; waves as log-mels."""
    images, columns = dataset.train.images, SIDE
    if (view := sounds.view_of(dataset.name)) is not None:
        images = to_uint8(sounds.shown(view, to_float(images[: SIDE * SIDE])), -1.0, 1.0)
    if dataset.sources:
        columns = len(dataset.sources)
        numbers = dataset.train.targets["source"]
        firsts = [np.flatnonzero(numbers == k)[:SIDE] for k in range(columns)]
        rows = min(map(len, firsts))
        images = images[np.stack([first[:rows] for first in firsts], axis=1).ravel()]
    picture = images_lib.grid(images[: SIDE * columns], columns)
    images_lib.write_png(folder / "samples" / "reals.png", picture)


def write_samples(
    config: Config,
    folder: pathlib.Path,
    game: Game,
    sample: Callable[..., np.ndarray],
    writer: writers_lib.Writer,
    step: int,
) -> None:
    """Pictures from the same latents all along, a column per class of a conditional generator.

    Spoken words also as WAV files, and waves as log-mel pictures.
    """
    columns = min(game.classes, SIDE) or SIDE
    asked = np.arange(SIDE * columns) % columns if game.classes else None
    found = sample(SIDE * columns, asked)
    limits = config.value_range
    if (view := sounds.view_of(config.data, config.size)) is not None:
        found, limits = unit_range(found, limits), (-1.0, 1.0)
        sounds.write(folder / "samples" / f"{step:06d}", view, found)
        found = sounds.shown(view, found)
    picture = images_lib.grid(found, columns, value_range=limits)
    images_lib.write_png(folder / "samples" / f"{step:06d}.png", picture)
    writer.images(step, {"samples": picture})


def write_done(folder: pathlib.Path, scores: Mapping[str, Any]) -> None:
    """The final scores; the last file of a run."""
    write(folder / "DONE", json.dumps(scores, indent=1))
