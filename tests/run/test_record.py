"""What a folder says of its run: written whole, claimed once, refused to other configs and data."""

import dataclasses
import json
import shlex

import numpy as np
import pytest
import tiny_experiment

from gan_mtl import data
from gan_mtl.run import record

CONFIG = tiny_experiment.CONFIG
ORIGIN = record.Origin("tiny_experiment", ("--steps", "20", "--workdir", "a b"), "smoke")


def test_a_claimed_folder_tells_how_to_build_the_run_again(tmp_path):
    workdir = tmp_path / "deep" / "run"
    record.claim(CONFIG, ORIGIN, workdir)
    written = json.loads((workdir / "config.json").read_text())
    assert written["module"] == "tiny_experiment" and written["preset"] == "smoke"
    assert written["argv"] == ["--steps", "20", "--workdir", "a b"]
    assert written["config"]["steps"] == CONFIG.steps
    words = shlex.split((workdir / "command.txt").read_text())
    assert words == ["python", "-m", "tiny_experiment", "--steps", "20", "--workdir", "a b"]
    left = {path.name for path in workdir.iterdir()}
    assert left == {"config.json", "command.txt", "env.json"}  # nothing partial, no probe


def test_a_folder_is_the_same_study_s_again_and_no_other_s(tmp_path):
    record.claim(CONFIG, ORIGIN, tmp_path)
    free = dataclasses.replace(CONFIG, seed=CONFIG.seed + 1, devices=2)
    record.claim(free, ORIGIN, tmp_path)  # nothing that binds differs
    before = (tmp_path / "config.json").read_text()
    other = dataclasses.replace(CONFIG, steps=CONFIG.steps + 1, batch_size=CONFIG.batch_size * 2)
    with pytest.raises(ValueError, match=r"another config; it differs in\n(.*\n)*.*Use another"):
        record.claim(other, ORIGIN, tmp_path)
    with pytest.raises(ValueError, match=rf"steps: {CONFIG.steps} -> {CONFIG.steps + 1}"):
        record.claim(other, ORIGIN, tmp_path)
    assert (tmp_path / "config.json").read_text() == before


def test_fields_that_came_after_a_record_are_at_their_defaults_but_not_those_of_settings(tmp_path):
    record.claim(CONFIG, ORIGIN, tmp_path)
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    del written["config"]["accumulate"], written["config"]["arms"]["semi"]["text"]
    written["config"]["arms"]["constant"].pop("after")
    path.write_text(json.dumps(written))
    with pytest.raises(ValueError, match=r"arms\.semi\.text: '' -> 'semi-supervised GAN'"):
        record.claim(CONFIG, ORIGIN, tmp_path)
    written["config"]["arms"]["semi"]["text"] = CONFIG.arms["semi"].text
    path.write_text(json.dumps(written))
    record.claim(CONFIG, ORIGIN, tmp_path)
    del written["config"]["arms"]["semi"]["settings"]["explode_at"]
    path.write_text(json.dumps(written))
    with pytest.raises(ValueError, match=r"semi\.settings\.explode_at: '\(absent\)' -> -1"):
        record.claim(CONFIG, ORIGIN, tmp_path)


def test_a_damaged_record_and_a_place_that_is_no_folder_are_named(tmp_path):
    (tmp_path / "config.json").write_text('{"config": ')
    with pytest.raises(ValueError, match=r"config\.json' is damaged"):
        record.claim(CONFIG, ORIGIN, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written \(.*\); give another --workdir"):
        record.claim(CONFIG, ORIGIN, tmp_path / "file" / "run")


def test_data_are_recorded_once_and_compared_afterwards(tmp_path):
    digits = data.load("digits")
    one, other = (data.with_labels(digits, 3, seed) for seed in (0, 1))
    record.claim_data(one, tmp_path)
    first = (tmp_path / "manifest.json").read_text()
    assert json.loads(first) == json.loads(json.dumps(one.manifest))
    record.claim_data(one, tmp_path)
    with pytest.raises(ValueError, match=r"was begun with other data: (.*\n)*.*visible\.seed"):
        record.claim_data(other, tmp_path)
    assert (tmp_path / "manifest.json").read_text() == first


@pytest.mark.parametrize(
    "argv, kept",
    [
        ("--workdir runs/1 --steps 5", "--steps 5"),
        ("--steps 5 --workdir=runs/1", "--steps 5"),
        ("--data_dir here --steps 5 --data-dir=there", "--steps 5"),
        ("--steps 5 --check", "--steps 5 --check"),
        ("--working dir --workdir", "--working dir"),
        ("", ""),
    ],
)
def test_options_are_left_out_of_a_command_line(argv, kept):
    """With their value, behind a space or =, and spelled with either hyphen."""
    found = record.without_options(tuple(argv.split()), *record.PLACES)
    assert found == tuple(kept.split())


def test_a_command_can_be_given_to_a_shell():
    origin = record.Origin("experiments.x", ("--about", "it's; rm", "--results", "r"))
    text = record.command(origin, left_out=("--results",))
    assert shlex.split(text) == ["python", "-m", "experiments.x", "--about", "it's; rm"]


def test_the_environment_names_versions_and_no_machine(monkeypatch):
    found = json.loads(json.dumps(record.environment()))
    assert set(record.PACKAGES) < set(found)
    assert found["numpy"] == np.__version__ and found["devices"][0].startswith("cpu")
    assert not {"hostname", "node", "user"} & set(found)
    monkeypatch.setenv("PATH", "")
    without = record.environment()
    assert without["commit"] is None and without["uncommitted"] is False


def test_a_measurement_says_command_versions_and_protocol(monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--out", "here.json", "--steps", "5"])
    found = record.measurement("experiments.mtl_toy", {"steps": 5}, ("--out",))
    assert found["command"] == "python -m experiments.mtl_toy --steps 5"
    assert found["protocol"] == {"steps": 5}
    assert {"jax", "commit", "uncommitted"} <= set(found["versions"])
    assert found["hardware"]["cores"] == found["versions"]["cpu_cores"]
