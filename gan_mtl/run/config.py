"""What an experiment is: frozen dataclasses of data, functions and dataclasses, and their record.

A field is data, a dataclass, a top-level function or a partial of one: whatever can be written down
and found again by importing the experiment's module.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gan_mtl.types import Game


class Spec(NamedTuple):
    """What a game has to know of data and budget.

    image_shape: (height, width, channels); value_range: what black and white became; steps: of the
        whole run, for schedules; targets: by name, shape of one and dtype; sources: names and
        numbers of classes of the data sets that a joined one is made of.
    """

    image_shape: tuple[int, ...]
    num_classes: int
    value_range: tuple[float, float]
    steps: int
    targets: Mapping[str, tuple[tuple[int, ...], str]] = {}
    sources: Mapping[str, int] = {}


@dataclass(frozen=True)
class Arm:
    """One row of a study: a game and its settings.

    build: `(settings, spec) -> Game`, a top-level function; None for a row that is not a game.
    settings: a frozen dataclass; every field can be set as --arms.NAME.settings.FIELD.
    text: what the row is, in a few words.
    fit: in place of `build`, `(settings, dataset, seed) -> scores`: a classical method.
    after: an arm that has to be finished on the same fold, labels and seed, where the game goes on
        from what that trained: `build` is then called with `trained={group: variables}`, by group
        `{"params": ..., other collections}`; without it for the game's table and shapes alone.
    """

    build: Callable[..., Game] | None
    settings: Any = None
    text: str = ""
    fit: Callable[..., dict[str, Any]] | None = None
    after: str = ""


@dataclass(frozen=True)
class Config:
    """An experiment: folds times label counts times arms times seeds, of the same budget each."""

    name: str
    """The experiment's name; runs go to runs/NAME."""
    arms: dict[str, Arm]
    """The rows of the study, by name."""
    evaluate: Callable[..., dict[str, Any]]
    """`(Evaluation) -> scores`: what is measured of a state; see run/evaluate.py."""
    tabulate: Callable[..., str]
    """`(config, cells) -> text`: the table of the study from its finished cells."""
    only: tuple[str, ...] = ()
    """Names of the arms to run; all by default."""

    data: str = "digits"
    """A named set, folder:PATH, npz:PATH, tfds:NAME, or joined:NAME+NAME (a source per task)."""
    folds: tuple[str, ...] = ()
    """Data sets that the study goes through one after another in place of `data`, with every arm on
    each: the folds of a protocol, the directions of a transfer."""
    data_dir: str | None = None
    """Where published files lie: one folder a set. Default: the variable GAN_MTL_DATA."""
    size: int | None = None
    """Side in pixels to which images are resized."""
    labels: tuple[int, ...] = ()
    """Visible training labels in all (of a joined set: of its last source), class-balanced; several
    give a table. None given: all."""
    validation: int = 0
    """Images carved out of the training split for validation."""
    fraction: float = 1.0
    """Part of the training images that training may see, drawn by the run's seed."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """What black and white become."""

    steps: int = 1000
    """Updates per cell."""
    batch_size: int = 64
    """Examples per pass (and source, of joined sets), over all devices."""
    labelled_batch_size: int = 0
    """Labelled examples per pass, drawn from the visible labels; 0 is none."""
    accumulate: int = 1
    """Slices that a pass is worked through in."""
    seed: int = 0
    """The first seed. It names the initial parameters, the order of data and the label draw."""
    seeds: int = 1
    """How many seeds, from `seed` on."""

    parallel: Literal["jit", "pmap"] = "jit"
    """The compiler."""
    devices: int | None = None
    """Devices to use; on a CPU as many are forced. All by default (1 on a CPU)."""
    model_axis: int = 1
    """Size of the mesh axis over which large parameters are sharded (jit)."""
    steps_per_call: int | None = None
    """Steps compiled into one call; chosen by backend by default."""
    vmap_seeds: bool | None = None
    """Whether seeds share one program; chosen by backend and networks by default."""
    resident: bool | None = None
    """Whether data stays on the devices; where it fits by default, except on a CPU."""

    log_every: int = 100
    """Steps between lines of metrics.jsonl (means over the steps between)."""
    eval_every: int = 0
    """Steps between evaluations; 0 is only at the end."""
    save_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 500
    """Steps between pictures of samples; 0 is none."""
    feature_steps: int | None = None
    """Steps that the network which scores samples is trained for: five epochs, at least 600, by
    default; 0 trains none, for experiments that score samples otherwise."""
    relations_every: int | None = None
    """Steps between looks at how the objectives of a turn conflict (on one device's share of a
    batch; not with a model axis); a tenth of the run by default; 0 is never."""
    keep: int = 2
    """Latest checkpoints to keep."""
    best: str | None = None
    """The score by which the best checkpoint is kept too, such as "test_accuracy"."""
    best_mode: Literal["max", "min"] = "max"
    """Whether a higher or a lower score is better."""
    tensorboard: bool = False
    """Also write TensorBoard events (extra `tensorboard`)."""
    wandb: str | None = None
    """Also log to this Weights & Biases project (extra `wandb`)."""
    check: bool = True
    """Look for dead entries of the table before starting."""

    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Named sets of overrides; `smoke`, `quick`, `cpu`, `paper` by custom."""
    about: str = ""
    """How long the default takes, and on what."""


def with_preset(config: Config, preset: str | None) -> Config:
    """The config with a preset's fields.

    Raises:
        ValueError: for an unknown preset, with the known ones.
    """
    if preset is None:
        return config
    if preset not in config.presets:
        raise ValueError(
            f"preset={preset!r} is not known to {config.name}; it has {sorted(config.presets)}."
        )
    return dataclasses.replace(config, **config.presets[preset])


def chosen_arms(config: Config) -> dict[str, Arm]:
    """The arms to run, in the config's order.

    Raises:
        ValueError: for a name in `only` that is no arm.
    """
    unknown = [name for name in config.only if name not in config.arms]
    if unknown:
        raise ValueError(f"only={unknown}: the arms of {config.name} are {list(config.arms)}.")
    return {n: arm for n, arm in config.arms.items() if not config.only or n in config.only}


def check(config: Config) -> None:
    """Raises ValueError for values that cannot be run, by name."""
    for name in ("steps", "batch_size", "seeds", "accumulate", "log_every", "save_every", "keep"):
        value = getattr(config, name)
        if value < 1:
            raise ValueError(f"{name}={value}: it must be at least 1.")
    for name in (
        "labelled_batch_size",
        "eval_every",
        "sample_every",
        "validation",
        "seed",
        "relations_every",
        "feature_steps",
    ):
        value = getattr(config, name)
        if value is not None and value < 0:
            raise ValueError(f"{name}={value}: it must not be negative.")
    if not 0 < config.fraction <= 1:
        raise ValueError(f"fraction={config.fraction}: it must be in (0, 1].")
    if config.seed + config.seeds > 1 << 32:
        raise ValueError(f"seed={config.seed}: seeds are below 2**32.")
    if config.save_every % config.log_every:
        raise ValueError(
            f"save_every={config.save_every} must be a multiple of log_every={config.log_every}, "
            "so that a resumed run logs the same lines."
        )
    for name in ("batch_size", "labelled_batch_size"):
        if getattr(config, name) % config.accumulate:
            raise ValueError(
                f"accumulate={config.accumulate} does not divide {name}={getattr(config, name)}: "
                "every slice has as many examples."
            )
    if any(n < 1 for n in config.labels):
        raise ValueError(f"labels={config.labels}: give positive numbers, or none for all labels.")
    if len(set(config.folds)) < len(config.folds):
        raise ValueError(f"folds={config.folds}: one is there twice.")
    if config.folds and config.feature_steps != 0:
        raise ValueError(
            f"feature_steps={config.feature_steps}: samples are scored by a network of one data "
            "set, and folds are several; use feature_steps=0."
        )
    chosen_arms(config)
    names = list(config.arms)
    for i, (name, arm) in enumerate(config.arms.items()):
        if arm.after and arm.after not in names[:i]:
            raise ValueError(
                f"arms.{name}.after={arm.after!r}: of the arms before it, {names[:i]}."
            )


LEFT_OUT = ("presets", "parent")  # of a config's record


def to_json(value: Any) -> Any:
    """A config as plain data: functions by module and name, partials with their arguments.

    Raises:
        TypeError: for a closure or a lambda, which could not be found again.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {k: v for k, v in fields.items() if k not in LEFT_OUT}
    if isinstance(value, functools.partial):
        return {
            "partial": to_json(value.func),
            "args": [to_json(v) for v in value.args],
            "keywords": {k: to_json(v) for k, v in sorted(value.keywords.items())},
        }
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", None)
        items = [to_json(v) for v in value]
        return dict(zip(names, items, strict=True)) if names else items
    if callable(value):
        qualified = getattr(value, "__qualname__", f"<{value!r}>")
        name = f"{module_name(getattr(value, '__module__', ''))}:{qualified}"
        if "<" in name:
            raise TypeError(
                f"{name} cannot be found again by its name; a config holds top-level functions or "
                "partials of them, so that a run can be rebuilt."
            )
        return name
    return value


def module_name(name: str) -> str:
    """The importable name of a module, also of the one that runs as `__main__`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if name == "__main__" and spec is not None else name


# What may differ between two starts in one workdir: it changes no cell's mathematics.
FREE = (
    *("about", "only", "folds", "labels", "seed", "seeds", "data_dir"),
    *("parallel", "devices", "model_axis", "steps_per_call", "vmap_seeds", "resident"),
    *("keep", "best", "best_mode", "tensorboard", "wandb", "check", "tabulate"),
)


def binding(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config's record that a workdir holds its cells to."""
    return {k: v for k, v in record.items() if k not in FREE}


def config_hash(config: Config) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the binding part of a config's record."""
    text = json.dumps(binding(to_json(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def completed(record: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """A record with what `Config` and `Arm` got after it was written, at the defaults.

    Defaults of new fields of these two leave runs as they were. An experiment's `Settings` are not
    completed: there a new default may well change what is computed.
    """
    arms = {
        name: {**_defaults(config.arms[name]), **arm} if name in config.arms else arm
        for name, arm in record["arms"].items()
    }
    return {**_defaults(config), **record, "arms": arms}


def _defaults(value: Config | Arm) -> dict[str, Any]:
    fields = (f for f in dataclasses.fields(value) if f.default is not dataclasses.MISSING)
    found = {f.name: json.loads(json.dumps(to_json(f.default))) for f in fields}
    return {k: v for k, v in found.items() if k not in LEFT_OUT}


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """The fields in which two records differ: `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *[k for k in new if k not in old]]
        found = [
            differences(old.get(k, "(absent)"), new.get(k, "(absent)"), f"{path}.{k}".strip("."))
            for k in keys
        ]
        return [line for lines in found for line in lines]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
