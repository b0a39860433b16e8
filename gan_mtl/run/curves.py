"""Curves of a run, from the lines of its metrics.jsonl and eval.jsonl; drawn by matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

POINTS = 200  # a line is thinned to this many
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555")
STYLES = ("-", "--", ":")
SHARES = ("accuracy", "f1", "precision", "recall", "coverage", "iou", "share")
HASH_SALT = "gan_mtl"  # the same curves give the same bytes


class Line(NamedTuple):
    """Values at steps; low and high are their extremes where several steps became one point."""

    steps: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


class Panel(NamedTuple):
    """One pair of axes: lines by name; log: a logarithmic scale of values."""

    title: str
    lines: Mapping[str, Line]
    log: bool = False


def panels(rows: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
    """The panels of metrics.jsonl: a turn's values, its weights, its gradient norms, accuracies.

    Args:
        rows: as `writers.read_jsonl` gives them. Values that are not finite are left out; names
            without any value have no line, and titles without lines no panel.
    """
    titles: dict[str, dict[str, Line]] = {}
    for name, line in _lines(rows).items():
        title, label = _place(name)
        titles.setdefault(title, {})[label] = line
    found = [
        Panel(title, lines, title.startswith("gradient norms") and _positive(lines))
        for title, lines in titles.items()
    ]
    order = ("accuracies", "weights", "gradient norms", "time")

    def place(panel: Panel) -> int:
        return next((i for i, start in enumerate(order, 1) if panel.title.startswith(start)), 0)

    return tuple(sorted(found, key=place))


def score_panels(rows: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
    """The panels of eval.jsonl: accuracies and other shares together, the rest one by one."""
    shares: dict[str, Line] = {}
    others: list[Panel] = []
    for name, line in _lines(rows).items():
        if any(part in name for part in SHARES):
            shares[name] = line
        else:
            others.append(Panel(name, {name: line}))
    return (Panel("accuracies and other shares", shares), *others) if shares else tuple(others)


def relation_panels(rows: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
    """The panels of relations.jsonl: one for every turn and kind, a line per pair."""
    titles: dict[str, dict[str, Line]] = {}
    for name, line in _lines(rows).items():
        if name.count("/") >= 2:
            turn, kind, pair = name.split("/", 2)
            titles.setdefault(f"{kind}, turn {turn}", {})[pair] = line
    return tuple(Panel(title, lines) for title, lines in titles.items())


def draw(
    found: Iterable[Panel], columns: int = 2, file_format: Literal["svg", "png"] = "svg"
) -> bytes:
    """All panels in one picture.

    Raises:
        ValueError: if there is no panel.
    """
    found = tuple(found)
    if not found:
        raise ValueError("there is no panel to draw: no line of the file holds a finite number")
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(columns, len(found))
    rows = -(-len(found) // columns)
    with matplotlib.rc_context({"svg.hashsalt": HASH_SALT, "font.size": 8}):
        width, height = 5.2 * columns, 2.6 * rows
        figure = Figure(figsize=(width, height))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        figure.subplots_adjust(  # margins in inches; a layout engine takes longer than drawing
            left=0.65 / width,
            right=1 - 0.2 / width,
            bottom=0.4 / height,
            top=1 - 0.25 / height,
            wspace=0.16,
            hspace=0.32,
        )
        for panel, ax in zip(found, axes, strict=False):
            _draw_panel(panel, ax)
        for ax in axes[len(found) :]:
            ax.remove()
        file = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        figure.savefig(file, format=file_format, dpi=150, metadata=metadata)
    return file.getvalue()


def thin(steps: np.ndarray, values: np.ndarray, points: int = POINTS) -> Line:
    """Means over runs of neighbouring steps, at most `points` of them, with their extremes."""
    groups = np.array_split(np.arange(len(steps)), min(len(steps), points))
    mean_of, low, high = (
        np.array([f(values[g]) for g in groups]) for f in (np.mean, np.min, np.max)
    )
    return Line(np.array([steps[g].mean() for g in groups]), mean_of, low, high)


def _lines(rows: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        step = row.get("step", math.nan)
        if not _number(step):
            continue
        for name, value in row.items():
            if name != "step" and _number(value):
                series.setdefault(name, []).append((step, value))
    return {name: thin(*np.array(sorted(pairs), float).T) for name, pairs in series.items()}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _place(name: str) -> tuple[str, str]:
    """The panel of a metric and its name there: `disc/weight/class` is `class` among weights."""
    first, _, rest = name.partition("/")
    if not rest:
        return ("accuracies" if "accuracy" in name else "values"), name
    if first == "grad_norm":
        turn, _, group = rest.partition("/")
        return f"gradient norms: {turn}", group or turn
    if first == "time":
        return f"time: {rest}", rest
    if rest.startswith("weight/"):
        return f"weights: {first}", rest.removeprefix("weight/")
    if "accuracy" in rest:
        return "accuracies", name
    return f"turn {first}", rest


def _positive(lines: Mapping[str, Line]) -> bool:
    return all((line.low > 0).all() for line in lines.values())


def _with_gaps(line: Line) -> Line:
    """NaN where a line leaves out far more steps than it usually does."""
    if len(line.steps) < 3:
        return line
    apart = np.diff(line.steps)
    wide = np.flatnonzero(apart > 4 * np.median(apart)) + 1
    return Line(*(np.insert(column, wide, np.nan) for column in line))


def _draw_panel(panel: Panel, ax: Any) -> None:
    for number, (name, line) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        style = STYLES[number // len(COLOURS) % len(STYLES)]
        whole = _with_gaps(line)
        marker = "o" if len(line.steps) < 12 else None
        ax.plot(
            *whole[:2],
            style,
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1.2,
            label=_plain(name),
        )
        if (line.low < line.high).any():
            ax.fill_between(
                whole.steps, whole.low, whole.high, color=colour, alpha=0.18, linewidth=0
            )
    if panel.log:
        ax.set_yscale("log")
    ax.set_title(_plain(panel.title), loc="left", fontsize=9, fontweight="bold")
    ax.set_xlabel("step")
    ax.margins(x=0.02)
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if len(panel.lines) > 1 or not panel.title.endswith(next(iter(panel.lines))):
        ax.legend(frameon=False, fontsize=7, ncols=1 + len(panel.lines) // 5)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics, nor for a line to hide (a leading _)."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")
