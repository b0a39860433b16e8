"""Pieces of a page: tables, pictures, numbers, as HTML."""

from __future__ import annotations

import base64
import html
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

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


def pairs(fields: Mapping[str, Any]) -> str:
    """A table of names and values."""
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="text">{escape(value)}</td></tr>'
        for name, value in fields.items()
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table that scrolls where it is too wide."""

    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>'


def figure(path: pathlib.Path, caption: str) -> str:
    """A PNG file with a caption, inlined."""
    picture = image(path.read_bytes(), "png", caption)
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def image(data: bytes, kind: str, text: str) -> str:
    """A picture, inlined; `kind` is png or svg+xml."""
    content = base64.b64encode(data).decode()
    return f'<img alt="{escape(text)}" src="data:image/{kind};base64,{content}">'


def absent(text: str) -> str:
    """A line that says what is not there."""
    return f'<p class="absent">{escape(text)}</p>'


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested fields by their dotted path; lists as JSON."""
    if isinstance(value, dict) and value:
        parts = [flat(v, f"{path}.{k}" if path else str(k)) for k, v in value.items()]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {path: value if isinstance(value, str) else json.dumps(value)}


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: Any) -> str:
    """Four digits of a number; "-" for what is none."""
    if not is_number(value) or value != value:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def escape(value: Any) -> str:
    """Any value as text of a page."""
    return html.escape(str(value))
