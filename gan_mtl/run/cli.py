"""The command line: `main(CONFIG)` of an experiment module, and the command `gan-mtl`."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import jax
import numpy as np
import tyro

from gan_mtl import parallel
from gan_mtl.run import checkpoints, record, study, writers
from gan_mtl.run import config as config_lib
from gan_mtl.run.config import Config
from gan_mtl.run.loop import Interrupted, NonFiniteLossError, Progress
from gan_mtl.run.memory import keep_memory
from gan_mtl.run.whole import write


@dataclass(frozen=True)
class Invocation:
    """What a command line asks for: a config, and what to do with it."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    preset: str | None = None
    """Start from this preset of the experiment."""
    smoke: bool = False
    """The preset `smoke`: a few steps, to see that it runs."""
    dry_run: bool = False
    """Print the tables of the games, parameters, devices and batches; start nothing."""
    workdir: str | None = None
    """Where it goes; a folder that holds this study is resumed. Default: the next runs/NAME/N."""
    restore_step: int | None = None
    """Resume from this checkpoint in place of the latest."""
    collect: bool = False
    """Train nothing: the table of those runs of --workdir that are done."""
    results: str | None = None
    """Also write the results to this file."""


def parse(config: Config, argv: Sequence[str]) -> Invocation:
    """The invocation that a command line means: preset first, then every option.

    Raises:
        SystemExit: for a bad option, after printing the nearest valid one.
        ValueError: for an unknown preset or a value that cannot be run.
    """
    preset = _preset_of(argv)
    start = Invocation(config_lib.with_preset(config, preset))
    prog = f"python -m {_module_of(config)}"
    found = tyro.cli(Invocation, default=start, args=list(argv), prog=prog)
    config_lib.check(found.config)
    return found


def _preset_of(argv: Sequence[str]) -> str | None:
    preset = "smoke" if "--smoke" in argv else None
    for i, word in enumerate(argv):
        if word == "--preset" and i + 1 < len(argv):
            preset = argv[i + 1]
        elif word.startswith("--preset="):
            preset = word.split("=", 1)[1]
    return preset


def main(config: Config, argv: Sequence[str] | None = None) -> int:
    """Runs an experiment module; exits with a status.

    0 done, 1 an error that was explained, 130 stopped by the user (saved).
    """
    argv = tuple(sys.argv[1:] if argv is None else argv)
    try:
        status = _main(config, argv)
    except (
        ValueError,
        NonFiniteLossError,
        checkpoints.CheckpointError,
        FileNotFoundError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    if status:
        raise SystemExit(status)
    return status


def _main(config: Config, argv: tuple[str, ...]) -> int:
    given, asked = config, parse(config, argv)
    config = asked.config
    _set_up(config)
    module = _module_of(given)
    origin = record.Origin(module, argv, _preset_of(argv))
    count = len(study.cells_of(config, pathlib.Path()))
    arms = list(config_lib.chosen_arms(config))
    print(
        f"{config.name}: {len(arms)} arm{'s' * (len(arms) > 1)} ({', '.join(arms)}), "
        f"{count} runs of {config.steps} steps on {', '.join(config.folds) or config.data}"
        + (f", labels {' '.join(map(str, config.labels))}" if config.labels else "")
        + (f"; about {config.about}" if config.about else "")
    )
    if asked.dry_run:
        return _dry_run(config)
    if asked.collect and not asked.workdir:
        raise ValueError("--collect asks for the runs of a folder: give --workdir.")
    workdir = pathlib.Path(asked.workdir) if asked.workdir else study.new_workdir(config)
    print(f"workdir: {workdir}")
    began = time.perf_counter()
    stopping = _on_signals()
    progress = console()
    try:
        if asked.collect:
            results = study.gather(config, origin, workdir)
        else:
            results = study.run_study(
                config,
                origin,
                workdir,
                progress=progress,
                stop=lambda: bool(stopping),
                restore_step=asked.restore_step,
            )
    except Interrupted as stopped:
        line = record.command(origin, ("--workdir", "--restore-step"))
        line = f"{line} {shlex.join(['--workdir', str(workdir)])}"
        print(f"\n{stopped}\nGo on with: {line}")
        return 130
    print(f"\n{results['table']}\n")
    print(f"{time.perf_counter() - began:.0f} s; pictures, tables and reports in {workdir}")
    if asked.results:
        path = pathlib.Path(asked.results)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(results, indent=1))
    return 0


def _module_of(config: Config) -> str:
    """The importable name of the module whose CONFIG this is.

    Raises:
        ValueError: if there is none: a run could not be rebuilt.
    """
    for name, module in list(sys.modules.items()):
        if getattr(module, "CONFIG", None) is config:
            return config_lib.module_name(name)
    raise ValueError(
        f"{config.name}: no imported module has this config as its CONFIG; give it one, so that "
        "the run can be rebuilt."
    )


def _set_up(config: Config) -> None:
    """Devices and the compilation cache, before anything is computed."""
    if os.environ.get("JAX_PLATFORMS", "cpu").startswith("cpu") and config.devices:
        # Too late once the backend is up: parallel.make_mesh then says what is there.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", config.devices)
    parallel.enable_compilation_cache()
    if jax.default_backend() == "cpu":
        keep_memory()
    devices = max((config.devices or len(jax.devices())) // config.model_axis, 1)
    for name in ("batch_size", "labelled_batch_size"):
        parallel.check_divides(getattr(config, name), devices, name)


def _on_signals() -> list[int]:
    """Collects Ctrl-C and SIGTERM; the loop looks at the list. A second Ctrl-C stops at once."""
    seen: list[int] = []

    def note(number, frame):
        del frame
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)
        print("\nstopping: saving first (again to stop at once)", flush=True)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return seen


def _dry_run(config: Config) -> int:
    from gan_mtl.run.load import blank_batch
    from gan_mtl.update import alternating

    if len(config.folds) > 1:
        print(f"\nthe first fold, {config.folds[0]}; the others are like it")
    config = study.on_fold(config, config.folds[0] if config.folds else None)
    dataset = study.load_data(config)
    spec = study.spec_of(config, dataset)
    print(f"\n{study.tables(config, spec)}\n")
    for name, arm in config_lib.chosen_arms(config).items():
        if arm.build is None:
            continue
        game = arm.build(arm.settings, spec)
        batch = blank_batch(config, spec, game)
        state = jax.eval_shape(alternating(game).init, jax.random.key(0), batch)
        counts = {
            group: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))
            for group, tree in state.params.items()
        }
        listed = ", ".join(f"{group} {n:,}" for group, n in counts.items())
        print(f"{name}: {sum(counts.values()):,} parameters ({listed})")
    devices = config.devices or len(jax.devices())
    print(
        f"{config.parallel} on {devices} {jax.default_backend()} device(s), "
        f"{config.batch_size // devices} examples per device and pass"
    )
    return 0


def console() -> Progress:
    """Progress on the terminal."""

    def line(text: str) -> None:
        print(text, flush=True)

    return Progress(line, lambda total, start: writers.console(total, start=start))
