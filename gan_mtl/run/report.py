"""One page about a run: report.html, self-contained, without script or network.

Everything is read from the folder of the run; what is not there (yet) is said on the page.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_mtl.run import conflicts, curves, predictions, relations_page
from gan_mtl.run.page import (
    STYLE,
    absent,
    escape,
    figure,
    flat,
    image,
    is_number,
    pairs,
    short,
    table,
)
from gan_mtl.run.whole import write
from gan_mtl.run.writers import read_jsonl

PICTURES = 6  # sample grids over time, beside the last one
ROWS = 20  # of the evaluation history


def write_report(run_dir: str | os.PathLike) -> pathlib.Path:
    """Writes (or writes anew) report.html in the folder of a run, also of one still going.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    folder = pathlib.Path(run_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give the folder of a run")
    record = _json(folder / "config.json")
    scores = _json(folder / "DONE")
    metrics = read_jsonl(folder / "metrics.jsonl")
    history = read_jsonl(folder / "eval.jsonl")
    sections = [
        ("Final scores", _scores(scores)),
        ("The game", _text(folder / "game.txt", "a run without game.txt has no table")),
        ("Samples", _samples(folder / "samples")),
        *_predictions(folder / predictions.FOLDER),
        ("Training", _curves(curves.panels(metrics), "metrics.jsonl holds no value yet")),
        ("Relations of objectives", relations_page.section(read_jsonl(folder / conflicts.FILE))),
        ("Evaluation", _history(history)),
        ("Classes", _classes(scores, history)),
        ("Config", _settings(_own(record))),
        ("Environment", _settings(_json(folder / "env.json"))),
    ]
    body = "".join(f"<h2>{escape(title)}</h2>\n{content}\n" for title, content in sections)
    title = _title(folder, record)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n{_head(folder, record, scores, metrics)}\n"
        f"{body}</body></html>\n"
    )
    path = folder / "report.html"
    write(path, text)
    return path


def _title(folder: pathlib.Path, record: Mapping[str, Any]) -> str:
    config, cell = _mapping(record.get("config")), _mapping(record.get("cell"))
    parts = [str(config.get("name") or folder.resolve().name)]
    if cell.get("arm"):
        parts.append(f"{cell['arm']}")
    if cell.get("data") is not None:
        parts.append(f"{cell['data']}")
    if cell.get("labels") is not None:
        parts.append(f"{cell['labels']} labels")
    if cell.get("seed") is not None:
        parts.append(f"seed {cell['seed']}")
    return ", ".join(parts)


def _head(folder: pathlib.Path, record, scores, metrics: Sequence[Mapping[str, Any]]) -> str:
    """Whether the run is finished, and the command that made it."""
    total = _mapping(record.get("config")).get("steps")
    last = next((row["step"] for row in reversed(metrics) if "step" in row), 0)
    of = f" of {total}" if total is not None else ""
    if (folder / "DONE").exists():
        state = (
            f'<span class="state done">finished at step {escape(scores.get("step", last))}</span>'
        )
    else:
        upto = escape(f"{last}{of}")
        state = f'<span class="state open">not finished: logged up to step {upto}</span>'
    command = _text(folder / "command.txt", "command.txt is not there")
    return f'<p>{state}</p>\n<div class="command">{command}</div>'


def _scores(scores: Mapping[str, Any]) -> str:
    """The numbers of DONE as cards, and the protocol that they were measured by."""
    if not scores:
        return absent("no final scores yet: DONE is written last")
    numbers = {k: v for k, v in scores.items() if is_number(v) and k != "step"}
    cards = "".join(
        f'<div class="card">{escape(name)}<b>{escape(short(value))}</b></div>'
        for name, value in numbers.items()
    )
    rest = {
        k: v
        for k, v in scores.items()
        if k not in numbers and k not in ("step", "confusion") and v is not None
    }
    return f'<div class="cards">{cards}</div>' + (pairs(flat(rest)) if rest else "")


def _samples(folder: pathlib.Path) -> str:
    """The reals, a selection over time, and the last grid large."""
    paths = sorted(p for p in folder.glob("*.png") if p.stem.isdigit())
    reals = folder / "reals.png"
    parts = []
    if paths:
        parts.append(figure(paths[-1], f"step {int(paths[-1].stem)}"))
    if reals.exists():
        parts.append(figure(reals, "real images, for comparison"))
    out = f'<div class="row">{"".join(parts)}</div>' if parts else ""
    if len(paths) > 1:
        some = [paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), PICTURES))]
        small = "".join(figure(path, f"step {int(path.stem)}") for path in some)
        out += f'<div class="row small">{small}</div>'
    return out if paths else out + absent("no samples (yet)")


def _predictions(folder: pathlib.Path) -> list[tuple[str, str]]:
    """The section of what heads on maps say and look at, where there are such pictures."""
    paths = sorted(folder.glob("*.png"))
    shown = "".join(figure(path, path.stem) for path in paths)
    return [("Predictions", shown)] if paths else []


def _curves(panels: Sequence[curves.Panel], missing: str) -> str:
    if not panels:
        return absent(missing)
    return image(curves.draw(panels), "svg+xml", ", ".join(panel.title for panel in panels))


def _history(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every evaluation's numbers: as curves where there are several, and as a table."""
    names = list(dict.fromkeys(k for row in rows for k, v in row.items() if is_number(v)))
    if not names:
        return absent("no evaluation yet: eval.jsonl holds no number")
    steps = {row.get("step") for row in rows}
    drawn = _curves(curves.score_panels(rows), "") if len(steps) > 1 else ""
    dropped = f"<p class=sub>the last {ROWS} of {len(rows)}</p>" if len(rows) > ROWS else ""
    cells = [[short(row.get(name)) for name in names] for row in rows[-ROWS:]]
    return drawn + dropped + table(names, cells)


def _classes(scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Precision, recall and F1 by class, from the last confusion matrix."""
    found = next((r["confusion"] for r in (scores, *reversed(history)) if "confusion" in r), None)
    try:
        confusion = np.asarray(found, np.int64)
    except (TypeError, ValueError, OverflowError):
        confusion = np.zeros(0)
    if confusion.ndim != 2 or len(set(confusion.shape)) != 1:
        return absent("no confusion matrix among the scores")
    hits, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    rows = [
        [str(k), *(f"{v:.3f}" for v in _rates(hits[k], predicted[k], support[k])), str(support[k])]
        for k in range(len(confusion))
    ]
    report = table(["class", "precision", "recall", "F1", "support"], rows)
    return f'<div class="row">{report}{_matrix(confusion, support)}</div>'


def _rates(hits: int, predicted: int, support: int) -> tuple[float, float, float]:
    return hits / max(predicted, 1), hits / max(support, 1), 2 * hits / max(support + predicted, 1)


def _matrix(confusion: np.ndarray, support: np.ndarray) -> str:
    """The confusion matrix, shaded by the share of its row."""
    head = "".join(f"<th>{k}</th>" for k in range(len(confusion)))
    lines = []
    for k, row in enumerate(confusion):
        shades = row / max(support[k], 1)
        cells = "".join(
            f'<td style="background: rgba({"0,114,178" if j == k else "213,94,0"},'
            f'{0.6 * shade:.2f})">{n or ""}</td>'
            for j, (n, shade) in enumerate(zip(row, shades, strict=True))
        )
        lines.append(f"<tr><th>{k}</th>{cells}</tr>")
    return (
        '<figure class="wide"><table class="matrix"><tr><th></th>'
        f"{head}</tr>{''.join(lines)}</table>"
        "<figcaption>confusion: rows are true classes, columns predicted ones</figcaption></figure>"
    )


def _own(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run, without the arms of its study that it is not of."""
    config, arm = _mapping(record.get("config")), _mapping(record.get("cell")).get("arm")
    arms = _mapping(config.get("arms"))
    if arm not in arms:
        return dict(record)
    return {**record, "config": {**config, "arms": {arm: arms[arm]}}}


def _settings(found: Mapping[str, Any]) -> str:
    if not found:
        return absent("its file is not there, or cannot be read")
    return f"<details><summary>{len(flat(found))} fields</summary>{pairs(flat(found))}</details>"


def _text(path: pathlib.Path, missing: str) -> str:
    if not path.exists():
        return absent(missing)
    return f"<pre>{escape(path.read_text(encoding='utf-8', errors='replace').rstrip())}</pre>"


def _json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object; empty if the file is not there or not one."""
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
