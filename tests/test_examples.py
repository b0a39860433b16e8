"""Examples in docstrings say what is so, wherever there are any."""

import doctest
import importlib
import pathlib

import pytest

import gan_mtl

ROOT = pathlib.Path(gan_mtl.__file__).parent
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if ">>>" in path.read_text()
]


def test_there_are_some():
    assert {"gan_mtl.losses.adversarial", "gan_mtl.audio.mel", "gan_mtl.metrics.text"} < set(
        MODULES
    )


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_true(module):
    tried = doctest.testmod(importlib.import_module(module))
    assert tried.attempted and not tried.failed
