"""Writes experiments/README.md from the results files: `python -m experiments`."""

from __future__ import annotations

import importlib
import json
import pathlib
from typing import Any

HERE = pathlib.Path(__file__).parent
HEAD = """# Experiments

One module is one experiment: its docstring, one `CONFIG`, `main(CONFIG)`. This page is written by
`python -m experiments` from the files in `results/`, each of which names command, seeds, versions,
hardware and protocol.
"""


def section(path: pathlib.Path) -> str:
    """One results file as a section: what it is, how it was measured, its table, its notes."""
    results: dict[str, Any] = json.loads(path.read_text())
    name = path.stem.split("-")[0]
    module = importlib.import_module(f"experiments.{name}")
    title = (module.__doc__ or "").strip().splitlines()[0]
    if "rows" in results:
        table = f"```\n{module.table(results['rows'])}\n```"
        measured = f"{results['hardware']['cores']} CPU cores, jax {results['versions']['jax']}"
    else:
        table = results["table"]
        found = results["environment"]
        measured = f"{found['cpu_cores']} CPU cores, jax {found['jax']}"
        features = results["feature_network"]
        if features:
            measured += (
                f"; samples scored by {features['name']}, test accuracy "
                f"{features['accuracy']:.1%}, hash {features['hash']}"
            )
    notes = path.with_suffix(".md")
    rest = f"\n{notes.read_text().strip()}\n" if notes.exists() else ""
    return (
        f"## {path.stem}\n\n{title}\n\n    {results['command']}\n\nMeasured on {measured}.\n\n"
        f"{table}\n{rest}"
    )


def main() -> None:
    """Writes the page."""
    paths = sorted((HERE / "results").glob("*.json"), key=lambda path: path.stem)
    sections = [section(path) for path in paths]
    (HERE / "README.md").write_text("\n".join([HEAD, *sections]))


if __name__ == "__main__":
    main()
