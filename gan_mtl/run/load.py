"""A finished or running run, back in Python."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl import parallel
from gan_mtl.run import checkpoints
from gan_mtl.run.config import Arm, Config, Spec, completed, differences, to_json
from gan_mtl.run.evaluate import evaluator
from gan_mtl.run.loop import first_key
from gan_mtl.types import MEMORY, Context, Game, PyTree, TrainState
from gan_mtl.update import alternating, variables_of


class Loaded(NamedTuple):
    """A run: its config, its game, the state of a checkpoint, and what one does with it.

    config: of one fold, with that as its data.
    sample: `(key, n, label=None) -> images [n, h, w, c]` in the config's value range, of the
        averaged generator where there is one; `label` is one class or n of them.
    predict: `(name, uint8 images) -> outputs`.
    start: the state before the first step (where initialisation does not look at the data).
    """

    config: Config
    arm: Arm
    game: Game
    state: TrainState
    spec: Spec
    seed: int
    step: int
    sample: Callable[..., jax.Array]
    predict: Callable[[str, np.ndarray], np.ndarray]
    start: TrainState


def rebuild(folder: pathlib.Path) -> tuple[Config, dict[str, Any]]:
    """The config that a folder's config.json records, from its module, and the record.

    Raises:
        ValueError: if there is none, or the module no longer gives this config: with the fields.
    """
    from gan_mtl.run.cli import parse

    path = folder / "config.json"
    if not path.exists():
        raise ValueError(f"{str(folder)!r} is no run: it has no config.json.")
    record = json.loads(path.read_text())
    module = importlib.import_module(record["module"])
    config = parse(module.CONFIG, record["argv"]).config
    now = json.loads(json.dumps(to_json(config)))
    differing = differences(completed(record["config"], config), now)
    if differing:
        raise ValueError(
            f"{record['module']} no longer gives the config of {str(folder)!r}; it differs in\n  "
            + "\n  ".join(differing)
            + "\nCheck out the commit in its env.json to load it."
        )
    return config, record


def load(run: str | pathlib.Path, step: int | None = None) -> Loaded:
    """Loads a run folder (one cell of a study): game, state, and functions of them.

    Args:
        run: a folder with config.json and checkpoints, such as runs/NAME/0001/labels-30/ARM/seed-0.
        step: of the checkpoint; the latest by default.

    Raises:
        ValueError: if the folder is no run, holds several, or its module has changed.
    """
    folder = pathlib.Path(run)
    config, record = rebuild(folder)
    if "cell" not in record:
        found = sorted(str(p.parent) for p in folder.rglob("config.json") if p.parent != folder)
        raise ValueError(
            f"{str(folder)!r} is a study; load one of its runs:\n  " + "\n  ".join(found)
        )
    cell = record["cell"]
    if "data" in cell:
        config = dataclasses.replace(config, data=cell["data"], folds=())
    arm = config.arms[cell["arm"]]
    if arm.build is None:
        raise ValueError(f"{str(folder)!r} is of {cell['arm']!r}, which is not a game.")
    values = cell["spec"]
    shape, limits = tuple(values["image_shape"]), tuple(values["value_range"])
    targets = {k: (tuple(s), dtype) for k, (s, dtype) in values["targets"].items()}
    sources = values.get("sources", {})
    spec = Spec(shape, values["num_classes"], limits, values["steps"], targets, sources)
    game = arm.build(arm.settings, spec)
    init = parallel.compile_function(alternating(game).init)
    start = init(first_key(jax.random.key(cell["seed"])), blank_batch(config, spec, game))
    store = checkpoints.open_checkpoints(folder / "checkpoints", read_only=True)
    restored = store.restore(start, step)
    store.close()
    variables = variables_of(restored.state)
    predict, _ = evaluator(game, spec)(variables, cell["seed"])

    def sample(key, n: int, label: Any = None):
        if game.sample is None:
            raise ValueError(f"{cell['arm']!r} generates nothing.")
        labels = None
        if label is not None:
            labels = jnp.broadcast_to(jnp.asarray(label, jnp.int32), (n,))
        context = Context(key, jnp.zeros((), jnp.int32), train=False)
        return game.sample(variables, n, labels, context)

    return Loaded(
        *(config, arm, game, restored.state, spec, cell["seed"], restored.step),
        *(sample, predict, start),
    )


def trained(
    config: Config, arm: Arm, spec: Spec, folder: pathlib.Path, seed: int
) -> dict[str, dict[str, PyTree]]:
    """What a finished cell of an arm has trained: by group, `{"params": ..., other collections}`.

    Raises:
        ValueError: if the folder is of no finished cell.
    """
    if arm.build is None or not (folder / "DONE").exists():
        raise ValueError(f"{str(folder)!r} is no finished run: run this arm first (--only, DONE).")
    game = arm.build(arm.settings, spec)
    init = parallel.compile_function(alternating(game).init)
    like = init(first_key(jax.random.key(seed)), blank_batch(config, spec, game))
    store = checkpoints.open_checkpoints(folder / "checkpoints", read_only=True)
    state = store.restore(like, None).state
    store.close()
    kept = {
        group: {k: v for k, v in tree.items() if not k.startswith(MEMORY)}
        for group, tree in state.state.items()
    }
    return {g: {"params": params, **kept.get(g, {})} for g, params in state.params.items()}


def blank_batch(config: Config, spec: Spec, game: Game) -> dict[str, np.ndarray]:
    """A batch of the right shapes, for initialisation only: mid-grey images of class 0."""
    repeats = max(turn.repeats for turn in game.turns)

    def images(n: int) -> np.ndarray:
        low, high = spec.value_range
        return np.full((n * repeats, *spec.image_shape), (low + high) / 2, np.float32)

    if spec.sources:
        return _blank_sources(config, spec, images, repeats)
    batch = {"images": images(config.batch_size)}
    for name, (shape, dtype) in spec.targets.items():
        batch[name] = np.zeros((len(batch["images"]), *shape), dtype)
    few = bool(config.labels)
    if spec.num_classes and not few:
        batch["labels"] = np.zeros(len(batch["images"]), np.int32)
    if config.labelled_batch_size:
        batch["labelled_images"] = images(config.labelled_batch_size)
        n = len(batch["labelled_images"])
        batch["labelled_labels"] = np.zeros(n, np.int32)
        for name, (shape, dtype) in spec.targets.items():
            batch[f"labelled_{name}"] = np.zeros((n, *shape), dtype)
    return batch


def _blank_sources(config: Config, spec: Spec, images: Callable[[int], np.ndarray], repeats: int):
    """Of a joined data set; with few labels the last source shows those alone."""
    n, few, last = config.batch_size, config.labelled_batch_size, list(spec.sources)[-1]
    batch = {f"images/{name}": images(n) for name in spec.sources}
    for name in spec.sources:
        if not (config.labels and name == last):
            batch[f"labels/{name}"] = np.zeros(n * repeats, np.int32)
    if config.labels and few:
        batch[f"labelled_images/{last}"] = images(few)
        batch[f"labelled_labels/{last}"] = np.zeros(few * repeats, np.int32)
    return batch
