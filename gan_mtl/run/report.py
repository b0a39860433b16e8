"""One page about a run: report.html, self-contained, without script or network.

Everything is read from the run's folder; what is not there (yet) is said on the page.
"""

from __future__ import annotations

import base64
import html
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_mtl.run import curves
from gan_mtl.run.writers import read_jsonl

PICTURES = 6  # sample grids over time, beside the last one
ROWS = 20  # of the evaluation history

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 1080px; margin: 2em auto; padding: 0 1.2em; }
h1 { font-size: 1.6em; margin: 0; } h2 { font-size: 1.15em; margin: 2em 0 .6em;
     border-bottom: 1px solid #ddd; padding-bottom: .2em; }
.sub, figcaption, .absent { color: #666; } .absent { font-style: italic; }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: #f6f6f6; border-radius: 4px; }
code { padding: .1em .3em; } pre { padding: .8em 1em; overflow-x: auto; }
.command pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.state { display: inline-block; padding: .1em .7em; border-radius: 1em; font-size: .9em; }
.done { background: #d9f0e3; } .open { background: #fbeacb; }
.cards { display: flex; flex-wrap: wrap; gap: .7em; margin-bottom: 1em; }
.card { border: 1px solid #ddd; border-radius: 6px; padding: .5em .9em; min-width: 7em; }
.card b { display: block; font-size: 1.4em; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; font-size: .9em; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .7em; border-bottom: 1px solid #eee; text-align: right; }
th:first-child, td:first-child { text-align: left; } th { color: #555; font-weight: 600; }
td.text { text-align: left; overflow-wrap: anywhere; } .wide { overflow-x: auto; }
figure { margin: 0; } .row { display: flex; flex-wrap: wrap; gap: 1em; margin-top: 1em; }
img { max-width: 100%; } .small img { width: 160px; } .matrix td { text-align: center; }
summary { cursor: pointer; color: #555; }
"""


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
        ("Training", _curves(curves.panels(metrics), "metrics.jsonl holds no value yet")),
        ("Evaluation", _history(history)),
        ("Classes", _classes(scores, history)),
        ("Config", _settings(_own(record))),
        ("Environment", _settings(_json(folder / "env.json"))),
    ]
    body = "".join(f"<h2>{_e(title)}</h2>\n{content}\n" for title, content in sections)
    title = _title(folder, record)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_e(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{_e(title)}</h1>\n{_head(folder, record, scores, metrics)}\n{body}</body></html>\n"
    )
    path = folder / "report.html"
    unfinished = folder / f".report.{os.getpid()}.tmp"
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, path)
    return path


def _title(folder: pathlib.Path, record: Mapping[str, Any]) -> str:
    config, cell = _mapping(record.get("config")), _mapping(record.get("cell"))
    parts = [str(config.get("name") or folder.resolve().name)]
    if cell.get("arm"):
        parts.append(f"{cell['arm']}")
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
        state = f'<span class="state done">finished at step {_e(scores.get("step", last))}</span>'
    else:
        state = (
            f'<span class="state open">not finished: logged up to step {_e(last)}{_e(of)}</span>'
        )
    command = _text(folder / "command.txt", "command.txt is not there")
    return f'<p>{state}</p>\n<div class="command">{command}</div>'


def _scores(scores: Mapping[str, Any]) -> str:
    """The numbers of DONE as cards, and the protocol that they were measured by."""
    if not scores:
        return _absent("no final scores yet: DONE is written last")
    numbers = {k: v for k, v in scores.items() if _is_number(v) and k != "step"}
    cards = "".join(
        f'<div class="card">{_e(name)}<b>{_e(_short(value))}</b></div>'
        for name, value in numbers.items()
    )
    rest = {
        k: v
        for k, v in scores.items()
        if k not in numbers and k not in ("step", "confusion") and v is not None
    }
    return f'<div class="cards">{cards}</div>' + (_pairs(_flat(rest)) if rest else "")


def _samples(folder: pathlib.Path) -> str:
    """The reals, a selection over time, and the last grid large."""
    paths = sorted(p for p in folder.glob("*.png") if p.stem.isdigit())
    reals = folder / "reals.png"
    parts = []
    if paths:
        parts.append(_figure(paths[-1], f"step {int(paths[-1].stem)}"))
    if reals.exists():
        parts.append(_figure(reals, "real images, for comparison"))
    out = f'<div class="row">{"".join(parts)}</div>' if parts else ""
    if len(paths) > 1:
        some = [paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), PICTURES))]
        small = "".join(_figure(path, f"step {int(path.stem)}") for path in some)
        out += f'<div class="row small">{small}</div>'
    return out if paths else out + _absent("no samples (yet)")


def _curves(panels: Sequence[curves.Panel], missing: str) -> str:
    if not panels:
        return _absent(missing)
    return _image(curves.draw(panels), "svg+xml", ", ".join(panel.title for panel in panels))


def _history(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every evaluation's numbers: as curves where there are several, and as a table."""
    names = list(dict.fromkeys(k for row in rows for k, v in row.items() if _is_number(v)))
    if not names:
        return _absent("no evaluation yet: eval.jsonl holds no number")
    steps = {row.get("step") for row in rows}
    drawn = _curves(curves.score_panels(rows), "") if len(steps) > 1 else ""
    dropped = f"<p class=sub>the last {ROWS} of {len(rows)}</p>" if len(rows) > ROWS else ""
    cells = [[_short(row.get(name)) for name in names] for row in rows[-ROWS:]]
    return drawn + dropped + _table(names, cells)


def _classes(scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Precision, recall and F1 by class, from the last confusion matrix."""
    found = next((r["confusion"] for r in (scores, *reversed(history)) if "confusion" in r), None)
    try:
        confusion = np.asarray(found, np.int64)
    except (TypeError, ValueError, OverflowError):
        confusion = np.zeros(0)
    if confusion.ndim != 2 or len(set(confusion.shape)) != 1:
        return _absent("no confusion matrix among the scores")
    hits, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    rows = [
        [str(k), *(f"{v:.3f}" for v in _rates(hits[k], predicted[k], support[k])), str(support[k])]
        for k in range(len(confusion))
    ]
    report = _table(["class", "precision", "recall", "F1", "support"], rows)
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
        return _absent("its file is not there, or cannot be read")
    return f"<details><summary>{len(_flat(found))} fields</summary>{_pairs(_flat(found))}</details>"


def _text(path: pathlib.Path, missing: str) -> str:
    if not path.exists():
        return _absent(missing)
    return f"<pre>{_e(path.read_text(encoding='utf-8', errors='replace').rstrip())}</pre>"


def _pairs(fields: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td>{_e(name)}</td><td class="text">{_e(value)}</td></tr>'
        for name, value in fields.items()
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_e(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>'


def _figure(path: pathlib.Path, caption: str) -> str:
    picture = _image(path.read_bytes(), "png", caption)
    return f"<figure>{picture}<figcaption>{_e(caption)}</figcaption></figure>"


def _image(data: bytes, kind: str, text: str) -> str:
    content = base64.b64encode(data).decode()
    return f'<img alt="{_e(text)}" src="data:image/{kind};base64,{content}">'


def _absent(text: str) -> str:
    return f'<p class="absent">{_e(text)}</p>'


def _json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object; empty if the file is not there or not one."""
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested fields by their dotted path; lists as JSON."""
    if isinstance(value, dict) and value:
        parts = [_flat(v, f"{path}.{k}" if path else str(k)) for k, v in value.items()]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {path: value if isinstance(value, str) else json.dumps(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    if not _is_number(value) or value != value:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _e(value: Any) -> str:
    return html.escape(str(value))
