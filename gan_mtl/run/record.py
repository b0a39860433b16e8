"""What a folder says of the run in it: config, command, environment and data, and whose it is."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from gan_mtl import data
from gan_mtl.data import Dataset
from gan_mtl.run.config import Config, binding, completed, differences, to_json
from gan_mtl.run.whole import write

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")
PLACES = ("--workdir", "--results", "--data-dir")  # options that say where things go


class Origin(NamedTuple):
    """Where a config comes from: enough to build it again.

    module: importable name; argv: what was given on the command line; preset: its name or None.
    """

    module: str
    argv: tuple[str, ...]
    preset: str | None = None


def claim(config: Config, origin: Origin, workdir: pathlib.Path) -> None:
    """Makes the workdir this study's, or checks that it is.

    Raises:
        ValueError: if it cannot be written, or holds a study of another config.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise ValueError(
            f"workdir={str(workdir)!r} cannot be written ({error.strerror}); "
            "give another --workdir."
        ) from error
    path = workdir / "config.json"
    record = to_json(config)
    if path.exists():
        try:
            old = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{str(path)!r} is damaged ({error}): put the file of another copy of the run in "
                "its place, or use another --workdir."
            ) from error
        there = completed(old["config"], config)
        differing = differences(binding(there), binding(json.loads(json.dumps(record))))
        if differing:
            raise ValueError(
                f"workdir={str(workdir)!r} holds a study of another config; it differs in\n  "
                + "\n  ".join(differing)
                + "\nUse another --workdir, or the same options."
            )
    write_record(config, origin, workdir)


def claim_data(dataset: Dataset, workdir: pathlib.Path) -> None:
    """Records what the data is, or checks that it is what the study was begun with.

    Raises:
        ValueError: with the parts that differ.
    """
    path = workdir / "manifest.json"
    if path.exists():
        try:
            data.verify(json.loads(path.read_text()), dataset)
        except ValueError as error:
            raise ValueError(
                f"workdir={str(workdir)!r} was begun with other data: {error}"
            ) from error
        return
    write(path, json.dumps(dataset.manifest, indent=1))


def write_record(config: Config, origin: Origin, folder: pathlib.Path, **more: Any) -> None:
    """config.json, command.txt and env.json."""
    record = {**origin._asdict(), "config": to_json(config), **more}
    write(folder / "config.json", json.dumps(record, indent=1))
    write(folder / "command.txt", command(origin))
    write(folder / "env.json", json.dumps(environment(), indent=1))


def command(origin: Origin, left_out: Sequence[str] = ()) -> str:
    """The command that was given, without some options."""
    return shlex.join(["python", "-m", origin.module, *without_options(origin.argv, *left_out)])


def without_options(argv: Sequence[str], *options: str) -> tuple[str, ...]:
    """A command line without these options (of one value each)."""
    kept: list[str] = []
    skip = False
    for word in argv:
        if not skip and word.split("=")[0].replace("_", "-") not in options:
            kept.append(word)
        skip = not skip and word.replace("_", "-") in options
    return tuple(kept)


def environment() -> dict[str, Any]:
    """Versions, devices and the state of the checkout; nothing that names the machine."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted": bool(_git("status", "--porcelain")),
    }


def measurement(module: str, protocol: Mapping[str, Any], places: Sequence[str]) -> dict[str, Any]:
    """How a table of rows was measured, for an experiment that is no study; its rows are to follow.

    Args:
        places: options that say where things go, left out of the command.
    """
    versions = environment()
    words = without_options(sys.argv[1:], *places)
    return {
        "command": shlex.join(["python", "-m", module, *words]),
        "versions": versions,
        "hardware": {"cores": versions["cpu_cores"]},
        "protocol": dict(protocol),
    }


def _git(*args: str) -> str | None:
    home = pathlib.Path(__file__).resolve().parents[2]
    try:
        found = subprocess.run(
            ["git", *args], cwd=home, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
