"""Every experiment imports, says what it is, and can be written down and found again."""

import importlib
import json
import pathlib

import pytest

from experiments.__main__ import section
from gan_mtl.run import config as config_lib
from gan_mtl.run import study

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = sorted(p.stem for p in (ROOT / "experiments").glob("*.py") if not p.stem.startswith("_"))
STUDIES = [n for n in NAMES if hasattr(importlib.import_module(f"experiments.{n}"), "tabulate")]
LARGE = ("cifar10_sngan", "digits_to_digits")  # networks of 28 pixels and more


@pytest.mark.parametrize("name", NAMES)
def test_its_docstring_says_how_to_run_it(name):
    module = importlib.import_module(f"experiments.{name}")
    assert f"python -m experiments.{name}" in module.__doc__ and "--smoke" in module.__doc__


@pytest.mark.parametrize("name", STUDIES)
def test_its_config_is_a_record_and_its_presets_are_valid(name):
    config = importlib.import_module(f"experiments.{name}").CONFIG
    assert config.name == name and "smoke" in config.presets
    for preset in [None, *config.presets]:
        chosen = config_lib.with_preset(config, preset)
        config_lib.check(chosen)
        json.dumps(config_lib.to_json(chosen))
        shape = (32, 32, 3) if name in LARGE else (8, 8, 1)
        sources = {"a": 5, "b": 5}
        spec = config_lib.Spec(shape, 10, chosen.value_range, chosen.steps, sources=sources)
        assert study.tables(chosen, spec)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_results_file_that_its_table_is_written_from(name):
    place = ROOT / "experiments" / "results"
    results = sorted([*place.glob(f"{name}.json"), *place.glob(f"{name}-*.json")])
    assert results, f"no experiments/results/{name}.json or {name}-*.json"
    page = (ROOT / "experiments" / "README.md").read_text()
    for path in results:
        assert section(path) in page, f"{path.name}: run `python -m experiments`"
