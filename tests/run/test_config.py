"""Configs: presets, refusals by name, records without closures, and what binds a workdir."""

import dataclasses
import functools
import hashlib
import importlib.machinery
import json
import types
from typing import Any

import pytest
import regression

from gan_mtl.run import config as config_lib
from gan_mtl.run.config import (
    FREE,
    Arm,
    Config,
    Spec,
    binding,
    check,
    chosen_arms,
    config_hash,
    differences,
    to_json,
    with_preset,
)

CONFIG = dataclasses.replace(
    regression.CONFIG, presets={"smoke": {"steps": 2}, "cpu": {"steps": 40, "seeds": 3}}
)


def power(x: Any, exponent: Any = 1) -> Any:
    """A top-level function for partials."""
    return x**exponent


def changed(**fields: Any) -> Config:
    return dataclasses.replace(CONFIG, **fields)


def test_a_preset_replaces_its_fields_and_no_others():
    assert with_preset(CONFIG, None) is CONFIG
    found = with_preset(CONFIG, "cpu")
    assert found == changed(steps=40, seeds=3) and CONFIG.steps == 6
    with pytest.raises(
        ValueError, match=r"preset='big' is not known to regression; it has \['cpu', 'smoke'\]"
    ):
        with_preset(CONFIG, "big")


def test_arms_are_chosen_in_the_order_of_the_config():
    assert list(chosen_arms(CONFIG)) == ["linear", "majority"]
    assert list(chosen_arms(changed(only=("majority", "linear")))) == ["linear", "majority"]
    assert chosen_arms(changed(only=("majority",))) == {"majority": CONFIG.arms["majority"]}
    with pytest.raises(ValueError, match=r"only=\['tree'\]: the arms .* \['linear', 'majority'\]"):
        chosen_arms(changed(only=("linear", "tree")))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        *(
            ({name: 0}, f"{name}=0: it must be at least 1")
            for name in ("batch_size", "seeds", "accumulate", "log_every", "save_every", "keep")
        ),
        *(
            ({name: -1}, f"{name}=-1: it must not be negative")
            for name in ("labelled_batch_size", "eval_every", "sample_every", "validation", "seed")
        ),
        ({"log_every": 4, "save_every": 6}, "save_every=6 must be a multiple of log_every=4"),
        ({"labels": (30, 0)}, r"labels=\(30, 0\): give positive numbers"),
        ({"only": ("tree",)}, "only="),
    ],
)
def test_values_that_cannot_be_run_are_refused_by_name(fields, match):
    check(CONFIG)
    with pytest.raises(ValueError, match=match):
        check(changed(**fields))


def test_records_are_plain_data_that_json_gives_back():
    partial: Any = functools.partial(power, 3, exponent=functools.partial(power, exponent=2))
    record = to_json(
        changed(
            arms={"a": Arm(partial, settings=regression.Settings(0.25))},
            labels=(30, 60),
            about="five minutes",
        )
    )
    assert json.loads(json.dumps(record)) == record
    assert "presets" not in record and record["labels"] == [30, 60]
    assert record["evaluate"] == "regression:evaluate"
    name = f"{__name__}:power"
    assert record["arms"]["a"] == {
        "build": {
            "partial": name,
            "args": [3],
            "keywords": {"exponent": {"partial": name, "args": [], "keywords": {"exponent": 2}}},
        },
        "settings": {"rate": 0.25},
        "text": "",
        "fit": None,
        "after": "",
    }
    assert to_json(Spec((2, 2, 1), 3, (0.0, 1.0), 6)) == {
        "image_shape": [2, 2, 1],
        "num_classes": 3,
        "value_range": [0.0, 1.0],
        "steps": 6,
        "targets": {},
        "sources": {},
    }


@pytest.mark.parametrize(
    "value",
    [lambda x: x, functools.partial(lambda x: x, 1), {"a": (lambda x: x,)}],
    ids=["lambda", "in a partial", "nested"],
)
def test_closures_are_refused_wherever_they_are(value):
    with pytest.raises(TypeError, match=r"test_config:.*<lambda>.* cannot be found again"):
        to_json(value)


def test_every_free_field_is_a_field_and_changes_no_hash():
    names = {field.name for field in dataclasses.fields(Config)}
    assert set(FREE) <= names
    whole = config_hash(CONFIG)
    assert len(whole) == 12 and int(whole, 16) >= 0
    others: dict[str, Any] = {name: "other" for name in FREE}
    others["tabulate"] = power
    for name, value in others.items():
        assert config_hash(changed(**{name: value})) == whole, name
    assert config_hash(changed(presets={})) == whole


def test_every_other_field_changes_the_hash():
    whole = config_hash(CONFIG)
    kept = {field.name for field in dataclasses.fields(Config)} - {*FREE, "presets", "arms"}
    for name in sorted(kept):
        value = power if name == "evaluate" else "other"
        assert config_hash(changed(**{name: value})) != whole, name
    faster = {**CONFIG.arms, "linear": Arm(regression.build, regression.Settings(0.25))}
    assert config_hash(changed(arms=faster)) != whole


def test_the_hash_is_the_sha256_of_the_sorted_binding_record():
    record = to_json(CONFIG)
    bound = {name: value for name, value in record.items() if name not in FREE}
    assert binding(record) == bound and "steps" in bound
    text = json.dumps(bound, sort_keys=True).encode()
    assert config_hash(CONFIG) == hashlib.sha256(text).hexdigest()[:12]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 2]}}, []),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["a.b.c: 1 -> 2"]),
        ({"a": 1}, {"b": 2}, ["a: 1 -> '(absent)'", "b: '(absent)' -> 2"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a: [1, 2] -> [2, 1]"]),
        ({"a": {"b": 1}}, {"a": None}, ["a: {'b': 1} -> None"]),
        ({"a": 1, "b": 2}, {"b": 3, "a": 0}, ["a: 1 -> 0", "b: 2 -> 3"]),
    ],
)
def test_differences_are_told_by_path(old, new, expected):
    assert differences(old, new) == expected


def test_the_module_that_runs_as_main_is_recorded_by_its_importable_name(monkeypatch):
    assert config_lib.module_name("regression") == "regression"

    main = types.ModuleType("__main__")
    monkeypatch.setitem(config_lib.sys.modules, "__main__", main)
    main.__spec__ = importlib.machinery.ModuleSpec("experiments.digits", None)
    assert config_lib.module_name("__main__") == "experiments.digits"
    main.__spec__ = None
    assert config_lib.module_name("__main__") == "__main__"
