"""README's code runs, its files exist, its commands parse."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_its_code_runs(block):
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_its_files_exist():
    linked = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"`(\w+/[\w/]+\.py)`", README)
    assert linked
    for name in linked:
        assert (ROOT / name).exists() or (ROOT / "gan_mtl" / name).exists(), name


def test_its_experiments_exist_and_have_the_presets_that_it_names():
    import importlib

    for name, rest in re.findall(r"python -m experiments\.(\w+)(.*)", README):
        module = importlib.import_module(f"experiments.{name}")
        for preset in re.findall(r"--preset (\w+)", rest):
            assert preset in module.CONFIG.presets, (name, preset)
