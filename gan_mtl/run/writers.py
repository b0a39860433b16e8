"""Where numbers and pictures of a run go: JSON lines, TensorBoard, W&B, the screen.

A metrics file is JSON in every line: `{"step": 100, "disc/adversarial": 1.31, ...}`. NaN, which
JSON does not have, is written as null (a lazy loss where it is not due), infinities as the strings
"inf" and "-inf"; `read_jsonl` gives them back as floats. Only process 0 writes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

import jax
import numpy as np

from gan_mtl.run.whole import whole

QUIET = ("grad_norm/", "time/", "/weight/")  # not for the progress line


class Writer(NamedTuple):
    """scalars: `(step, {name: number})`; images: `(step, {name: uint8 [h, w, c]})`; close: `()`."""

    scalars: Callable[[int, Mapping[str, Any]], None]
    images: Callable[[int, Mapping[str, np.ndarray]], None]
    close: Callable[[], None]


def silent() -> Writer:
    """Writes nothing; every other writer is this one on all processes but the first."""
    return Writer(lambda step, values: None, lambda step, images: None, lambda: None)


def multi(*writers: Writer) -> Writer:
    """Writes to several; all are closed, even if one of them fails to."""

    def scalars(step: int, values: Mapping[str, Any]) -> None:
        for writer in writers:
            writer.scalars(step, values)

    def images(step: int, values: Mapping[str, np.ndarray]) -> None:
        for writer in writers:
            writer.images(step, values)

    def close() -> None:
        with contextlib.ExitStack() as stack:
            for writer in reversed(writers):
                stack.callback(writer.close)

    return Writer(scalars, images, close)


def jsonl(path: str | os.PathLike) -> Writer:
    """Appends one JSON object a line, flushed at once; a torn last line is dropped first.

    Values may be numbers, arrays, texts, and lists and dicts of them. Images are not written.
    """
    if jax.process_index() != 0:
        return silent()
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _drop_torn_line(path)
    file = path.open("a", encoding="utf-8")

    def scalars(step: int, values: Mapping[str, Any]) -> None:
        line = json.dumps(_plain({"step": step, **values}), allow_nan=False)
        file.write(line + "\n")
        file.flush()

    return Writer(scalars, lambda step, images: None, file.close)


def read_jsonl(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of a metrics file, null as NaN, without torn ones; none if there is no file."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    found = (_parse(line) for line in path.read_bytes().split(b"\n"))
    return [_floats(line) for line in found if line is not None]


def truncate_after(path: str | os.PathLike, step: int) -> int:
    """Drops the lines of later steps and torn ones: how many. For a run that is resumed at `step`.

    What remains is written beside the file and put in its place, so that it is never half there.
    """
    path = pathlib.Path(path)
    if jax.process_index() != 0 or not path.exists():
        return 0
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    kept = []
    for line in lines:
        found = _parse(line)
        if found is not None and found.get("step", math.inf) <= step:
            kept.append(line + b"\n")
    if len(kept) < len(lines):
        with whole(path) as unfinished:
            unfinished.write_bytes(b"".join(kept))
    return len(lines) - len(kept)


def tensorboard(folder: str | os.PathLike, *, resumed_at: int | None = None) -> Writer:
    """Event files for TensorBoard; needs the extra `tensorboard`.

    resumed_at: events of later steps, from before the run was broken off, are hidden.
    """
    if jax.process_index() != 0:
        return silent()
    try:
        import tensorboardX
    except ImportError as error:
        raise ImportError(
            "TensorBoard files need tensorboardX: pip install 'gan_mtl[tensorboard]'"
        ) from error
    purge = None if resumed_at is None else resumed_at + 1
    events = tensorboardX.SummaryWriter(str(folder), purge_step=purge)

    def scalars(step: int, values: Mapping[str, Any]) -> None:
        for name, value in _numbers(values).items():
            events.add_scalar(name, value, step)

    def images(step: int, values: Mapping[str, np.ndarray]) -> None:
        for name, image in values.items():
            events.add_image(name, image, step, dataformats="HWC")
        events.flush()

    return Writer(scalars, images, events.close)


def wandb(project: str, **options: Any) -> Writer:
    """Weights & Biases; needs the extra `wandb`. `options` go to `wandb.init` as they are."""
    if jax.process_index() != 0:
        return silent()
    try:
        import wandb as service  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "Weights & Biases needs its client: pip install 'gan_mtl[wandb]'"
        ) from error
    run = service.init(project=project, **options)

    def scalars(step: int, values: Mapping[str, Any]) -> None:
        run.log(_numbers(values), step=step)

    def images(step: int, values: Mapping[str, np.ndarray]) -> None:
        run.log({name: service.Image(image) for name, image in values.items()}, step=step)

    return Writer(scalars, images, run.finish)


def console(
    total: int,
    *,
    start: int = 0,
    show: int = 5,
    every: float = 10.0,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Writer:
    """Progress with steps a second, time left and the last losses.

    On a terminal a bar that stays in place; elsewhere (a file, a pipe) plain lines.

    Args:
        total: steps of the whole run; start: the step that it begins or resumes at.
        show: how many values are shown, in the order in which they come.
        every: seconds between plain lines, at the least; the first and the last are always there.
        stream: where to; standard error by default.
    """
    if jax.process_index() != 0:
        return silent()
    out = stream or sys.stderr
    show_progress, close = (_bar if out.isatty() else _lines)(total, start, every, out, clock)
    reports: deque[tuple[float, int]] = deque(maxlen=50)
    last: dict[str, float] = {}

    def scalars(step: int, values: Mapping[str, Any]) -> None:
        reports.append((clock(), step))
        last.update((k, v) for k, v in _numbers(values).items() if not any(q in k for q in QUIET))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in [*last.items()][:show])
        show_progress(step, _pace(reports, total), shown)

    return Writer(scalars, lambda step, images: None, close)


def _pace(reports: deque[tuple[float, int]], total: int) -> str:
    """Steps a second and time left over the last reports (the first step compiles: not counted)."""
    (since, first), (now, step) = reports[0], reports[-1]
    if step <= first or now <= since:
        return ""
    rate = (step - first) / (now - since)
    left = round((total - step) / rate)
    hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{rate:.3g} steps/s  {clock} left"


def _lines(total: int, start: int, every: float, stream: TextIO, clock: Callable[[], float]):
    """Progress as plain lines: how to show it, and how to end."""
    due = -math.inf

    def show_progress(step: int, pace: str, shown: str) -> None:
        nonlocal due
        if clock() < due and step < total:
            return
        due = clock() + every
        print(
            "  ".join(filter(None, [f"step {step}/{total}", pace, shown])), file=stream, flush=True
        )

    return show_progress, lambda: None


def _bar(total: int, start: int, every: float, stream: TextIO, clock: Callable[[], float]):
    """Progress as a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    bar = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[shown]}", table_column=Column(no_wrap=True, ratio=1)),
        console=Console(file=stream),
        expand=True,
    )
    task = bar.add_task("", total=total, completed=start, pace="compiling", shown="")
    bar.start()

    def show_progress(step: int, pace: str, shown: str) -> None:
        bar.update(task, completed=step, pace=pace, shown=shown)

    return show_progress, bar.stop


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The plain numbers among values, as floats, without NaN."""
    scalars = {k: v for k, v in values.items() if np.ndim(v) == 0 and not isinstance(v, str | dict)}
    floats = {k: float(v) for k, v in scalars.items() if v is not None}
    return {k: v for k, v in floats.items() if not math.isnan(v)}


def _plain(value: Any) -> Any:
    """The same in values that JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else f"{value}"
    return _plain(np.asarray(value).tolist())


def _floats(value: Any) -> Any:
    """The reverse of `_plain`, as far as numbers go."""
    if isinstance(value, dict):
        return {name: _floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float("nan") if value is None else float(value) if value in ("inf", "-inf") else value


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _drop_torn_line(path: pathlib.Path) -> None:
    """What a killed process left after the last line break."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
