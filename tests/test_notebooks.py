"""The notebooks run, and keep no outputs."""

import os
import pathlib

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own messaging
def test_it_runs_and_keeps_no_outputs(path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs for cell in code)
    assert sum(len(cell.source.splitlines()) for cell in code) <= 50
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert any("image/png" in out.get("data", {}) for out in code[-1].outputs)


def test_there_is_one():
    assert NOTEBOOKS
