"""The command `gan-mtl`: what one does with runs that are there."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import jax
import numpy as np
import tyro

from gan_mtl import data as data_lib
from gan_mtl import parallel
from gan_mtl.data import to_float
from gan_mtl.run import checkpoints, explanations, images, look, predictions, report
from gan_mtl.run.evaluate import (
    Evaluation,
    distances,
    evaluator,
    scoring_network,
    train_features,
)
from gan_mtl.run.export import export_sampler
from gan_mtl.run.load import Loaded, load, rebuild
from gan_mtl.run.loop import Cell
from gan_mtl.run.study import load_data, visible_data
from gan_mtl.run.whole import whole
from gan_mtl.update import variables_of


@dataclass(frozen=True)
class Sample:
    """Write a grid of samples of a run."""

    run: tyro.conf.Positional[pathlib.Path]
    """A run folder, such as runs/NAME/0001/labels-30/ARM/seed-0."""
    n: int = 100
    """How many."""
    label: int | None = None
    """Of this class only (conditional generators); a column per class by default."""
    seed: int = 0
    """Of the latents."""
    columns: int = 10
    """Images a row."""
    out: pathlib.Path | None = None
    """The picture; samples.png in the run folder by default."""
    step: int | None = None
    """Of the checkpoint; the latest by default."""


@dataclass(frozen=True)
class Evaluate:
    """Score a run again, or any two folders of pictures against each other."""

    run: tyro.conf.Positional[pathlib.Path | None] = None
    """A run folder; none with --reals and --fakes."""
    reals: pathlib.Path | None = None
    """A folder of PNG or JPEG pictures, or a .npz file."""
    fakes: pathlib.Path | None = None
    """Likewise, of the same size."""
    data: str = "digits"
    """With --reals and --fakes: the set whose training split trains the feature network."""
    data_dir: str | None = None
    """Where its files lie."""
    step: int | None = None
    """Of the checkpoint; the latest by default."""


@dataclass(frozen=True)
class Export:
    """Write a sampler that runs without this package; see run/export.py."""

    run: tyro.conf.Positional[pathlib.Path]
    """A run folder."""
    n: int = 64
    """Images a call."""
    out: pathlib.Path | None = None
    """The file; sampler.jax in the run folder by default."""
    step: int | None = None
    """Of the checkpoint; the latest by default."""


@dataclass(frozen=True)
class Look:
    """Look at a generator (between latents, nearest training images) or at heads (Grad-CAM)."""

    run: tyro.conf.Positional[pathlib.Path]
    """A run folder with a generator, or with heads on maps."""
    out: pathlib.Path | None = None
    """A folder for the pictures; the run folder by default, whose report then has them."""
    seed: int = 0
    """Of the latents."""
    count: int = 500
    """Samples, and held-out images, whose nearest training images are looked for."""
    step: int | None = None
    """Of the checkpoint; the latest by default."""


@dataclass(frozen=True)
class Report:
    """Write report.html of a run again."""

    run: tyro.conf.Positional[pathlib.Path]
    """A run folder."""


@dataclass(frozen=True)
class List:
    """List the runs below a folder: what they are, how far, and their scores."""

    root: tyro.conf.Positional[pathlib.Path] = pathlib.Path("runs")
    """Where to look."""


Command = (
    Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Look, tyro.conf.subcommand("look")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[List, tyro.conf.subcommand("list")]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `gan-mtl`."""
    sys.path.insert(0, "")  # experiment modules are found from the current directory
    command = tyro.cli(Command, args=argv, prog="gan-mtl")  # pyright: ignore[reportArgumentType]
    actions = {
        **{Sample: _sample, Evaluate: _evaluate, Export: _export},
        **{Look: _look, Report: _report, List: _list},
    }
    parallel.enable_compilation_cache()
    try:
        actions[type(command)](command)
    except (ValueError, FileNotFoundError, ImportError, checkpoints.CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _sample(asked: Sample) -> None:
    loaded = load(asked.run, asked.step)
    label = asked.label
    classes = loaded.game.classes
    if label is not None and not classes:
        raise ValueError(
            f"label={label}: the generator of {loaded.arm.text or asked.run} is unconditional; "
            "leave the label out."
        )
    if label is not None and not 0 <= label < classes:
        raise ValueError(f"label={label} is outside 0 .. {classes - 1}, the classes of the run.")
    wanted = np.arange(asked.n) % classes if label is None and classes else label
    found = loaded.sample(jax.random.key(asked.seed), asked.n, wanted)
    picture = images.grid(np.asarray(found), asked.columns, value_range=loaded.spec.value_range)
    print(images.write_png(asked.out or asked.run / "samples.png", picture))


def _evaluate(asked: Evaluate) -> None:
    if asked.run is None:
        if asked.reals is None or asked.fakes is None:
            raise ValueError("give a run folder, or both --reals and --fakes.")
        scores = score_folders(asked.reals, asked.fakes, asked.data, asked.data_dir)
    else:
        scores = score_run(load(asked.run, asked.step), asked.run)
    scores.pop("confusion", None)
    print(json.dumps(scores, indent=1))


def score_run(loaded: Loaded, folder: pathlib.Path) -> dict:
    """The experiment's scores of a loaded run."""
    _, record = rebuild(folder)
    cell = record["cell"]
    dataset = load_data(loaded.config)
    features = scoring_network(loaded.config, dataset, (loaded.game,), folder)
    of = Cell(cell["arm"], cell["labels"], cell["seed"], folder)
    seen = visible_data(dataset, of, loaded.config.fraction)
    bind = evaluator(loaded.game, loaded.spec)
    predict, sample = bind(variables_of(loaded.state), loaded.seed)

    def fresh():
        return bind(variables_of(loaded.start), loaded.seed)[0]

    asked = Evaluation(
        loaded.game, predict, sample, seen, loaded.spec, features, loaded.seed, fresh
    )
    return {"step": loaded.step, **loaded.config.evaluate(asked)}


def score_folders(
    reals: pathlib.Path, fakes: pathlib.Path, data: str = "digits", data_dir: str | None = None
) -> dict:
    """Frechet and kernel distance and PRDC between two sets of pictures.

    Args:
        reals, fakes: folders of PNG or JPEG, or .npz files, of the size and channels of `data`.
        data: the set on whose training split the feature network is trained.

    Raises:
        ValueError: for pictures of another shape than the data's.
    """
    dataset = data_lib.load(data, data_dir)
    cache = pathlib.Path(parallel.enable_compilation_cache()).parent
    features = train_features(dataset, cache)
    found = {}
    for name, path in (("reals", reals), ("fakes", fakes)):
        kind = "npz" if path.suffix == ".npz" else "folder"
        pictures = data_lib.load(f"{kind}:{path}")
        every = np.concatenate([pictures.train.images, pictures.test.images])
        if every.shape[1:] != dataset.train.images.shape[1:]:
            raise ValueError(
                f"{name}: pictures of shape {every.shape[1:]}, but {data!r} has "
                f"{dataset.train.images.shape[1:]}; name a set of the same size with --data."
            )
        found[name] = features.features(to_float(every))
    protocol = {
        "features": features.name,
        "features_hash": features.digest,
        "real": len(found["reals"]),
        "fake": len(found["fakes"]),
    }
    return {**distances(found["reals"], found["fakes"]), "protocol": protocol}


def _export(asked: Export) -> None:
    found = export_sampler(load(asked.run, asked.step), asked.n)
    path = asked.out or asked.run / "sampler.jax"
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"out={str(path)!r} is not a file in a folder that exists: name a file.")
    with whole(path) as unfinished:
        unfinished.write_bytes(found)
    print(path)


def _look(asked: Look) -> None:
    if asked.count < 2:
        raise ValueError(f"count={asked.count}: give at least 2 samples, 500 say.")
    loaded = load(asked.run, asked.step)
    _, record = rebuild(asked.run)
    cell = record["cell"]
    of = Cell(cell["arm"], cell["labels"], cell["seed"], asked.run)
    seen = visible_data(load_data(loaded.config), of, loaded.config.fraction)
    folder, variables = asked.out or asked.run, variables_of(loaded.state)
    heads = [*predictions.drawn(loaded.game, seen), *predictions.repaired(loaded.game)]
    generates = loaded.game.sample is not None
    paths = []
    if generates or not heads:
        paths += look.pictures(loaded, seen, folder, asked.seed)
    if heads:
        limits, step = loaded.spec.value_range, f"step {loaded.step}"
        paths += predictions.write(folder, loaded.game, loaded.predict, seen, limits, step)
        paths += explanations.write(folder, loaded.game, variables, seen, limits)
    for path in paths:
        print(path)
    if generates:
        print(json.dumps(look.memorising(loaded, seen, asked.count, asked.seed), indent=1))
    if heads and asked.out is None:
        print(report.write_report(asked.run))


def _report(asked: Report) -> None:
    print(report.write_report(asked.run))


def _list(asked: List) -> None:
    paths = sorted(path.parent for path in asked.root.rglob("config.json"))
    if not paths:
        raise ValueError(f"no runs below {str(asked.root)!r}.")
    for folder in paths:
        record = json.loads((folder / "config.json").read_text())
        if "cell" not in record:
            continue
        done = folder / "DONE"
        if done.exists():
            scores = json.loads(done.read_text())
            shown = "  ".join(f"{k} {v:.4g}" for k, v in scores.items() if isinstance(v, float))
            print(f"{folder}  done at {scores.get('step')}  {shown}")
        else:
            saved = sorted(
                int(p.name) for p in (folder / "checkpoints").glob("[0-9]*") if p.name.isdigit()
            )
            print(f"{folder}  unfinished, {f'saved at {saved[-1]}' if saved else 'nothing saved'}")
