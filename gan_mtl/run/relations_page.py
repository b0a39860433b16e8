"""The part of a report that shows how the objectives of a run get on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_mtl.run import conflicts, curves
from gan_mtl.run.page import absent, escape, image

TITLES = {
    "cosine": "cosine of gradients",
    "magnitude": "similarity in magnitude",
    "affinity": "affinity: a step on the row's objective lowers the column's loss by this part",
    "correlation": "correlation of heads",
}
BLUE, RED = "0,114,178", "213,94,0"


def section(rows: Sequence[Mapping[str, Any]]) -> str:
    """Verdict, mean matrices and curves of every turn, from the lines of relations.jsonl."""
    found = conflicts.history(rows)
    if not found:
        return absent("no two objectives of a turn share parameters, or nobody looked")
    return "".join(_turn(turn, history) for turn, history in found.items()) + _curves(rows)


def _turn(turn: str, history: conflicts.History) -> str:
    verdict = conflicts.verdict(history)
    said = (
        "<p>No verdict: affinities need losses that are better the smaller they are, twelve "
        f"objectives or fewer, and {conflicts.LOOKS} looks.</p>"
    )
    if verdict is not None:
        said = (
            f"<p><b>{escape(verdict.text[0].upper() + verdict.text[1:])}</b> (by the affinities of "
            "this run; a companion counts for the lower end of the interval below)</p>"
        )
    matrices = "".join(
        _matrix(history.objectives, conflicts.mean_of(values), TITLES[kind])
        for kind, values in history.matrices.items()
    )
    if verdict is not None:
        matrices += _matrix(history.objectives, verdict.low, "affinity: lower end, 95 %")
    return f'<p class="sub">turn {escape(turn)}</p>{said}<div class="row">{matrices}</div>'


def _matrix(names: Sequence[str], values: np.ndarray, caption: str) -> str:
    """A matrix, blue above zero and red below, shaded by the largest entry off the diagonal."""
    off = np.abs(values[~np.eye(len(names), dtype=bool)])
    scale = max(np.nanmax(off), 1e-12) if np.isfinite(off).any() else 1.0
    lines = []
    for i, name in enumerate(names):
        cells = "".join(_cell(values[i, j], scale, i == j) for j in range(len(names)))
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return (
        f'<figure class="wide"><table class="matrix"><tr><th></th>{head}</tr>{"".join(lines)}'
        f"</table><figcaption>{escape(caption)}</figcaption></figure>"
    )


def _cell(value: float, scale: float, diagonal: bool) -> str:
    if diagonal or not np.isfinite(value):
        return "<td></td>"
    shade = 0.6 * min(abs(value) / scale, 1)
    colour = BLUE if value > 0 else RED
    return f'<td style="background: rgba({colour},{shade:.2f})">{value:.2g}</td>'


def _curves(rows: Sequence[Mapping[str, Any]]) -> str:
    panels = curves.relation_panels(rows)
    if not panels:
        return ""
    text = ", ".join(panel.title for panel in panels)
    return f'<div class="row">{image(curves.draw(panels), "svg+xml", text)}</div>'
