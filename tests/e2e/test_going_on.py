"""Starting again: what is resumed from, what is refused, and that nothing broken is saved."""

import dataclasses
import itertools
import json

import pytest
import tiny_experiment

from gan_mtl.run import fingerprint, record
from gan_mtl.run.checkpoints import saved_steps
from gan_mtl.run.load import load
from gan_mtl.run.loop import SILENT, Interrupted, NonFiniteLossError
from gan_mtl.run.study import run_study

ORIGIN = record.Origin("tiny_experiment", ())
ONE = dataclasses.replace(tiny_experiment.CONFIG, only=("classifier",), sample_every=0)


def stop_at(step):
    """Asks to stop at the call that ends at this step."""
    calls = itertools.count(1)
    return lambda: next(calls) == step


def cell(folder, arm="classifier", seed=0):
    return folder / "labels-30" / arm / f"seed-{seed}"


def test_parameters_that_break_at_a_save_are_not_saved(tmp_path):
    """The loss of step 9 is finite, its update is not; 9 is also a step of saving."""
    arm = ONE.arms["classifier"]
    settings = dataclasses.replace(arm.settings, explode_at=8)
    arms = {**ONE.arms, "classifier": dataclasses.replace(arm, settings=settings)}
    config = dataclasses.replace(ONE, arms=arms)
    for _ in range(2):
        with pytest.raises(NonFiniteLossError) as caught:
            run_study(config, ORIGIN, tmp_path)
        message = str(caught.value)
        assert "Non-finite parameters at step 9: groups ['heads/class', 'trunk']" in message
        assert "turns ['model']" in message and "the checkpoint of step 6 is good" in message
        assert saved_steps(cell(tmp_path) / "checkpoints") == (3, 6)


def test_a_step_to_restore_is_for_the_runs_that_have_it(tmp_path):
    both = dataclasses.replace(ONE, only=("classifier", "semi"))
    with pytest.raises(Interrupted):
        run_study(both, ORIGIN, tmp_path, stop=stop_at(6))
    with pytest.raises(ValueError, match=r"restore_step=5: .*seed 0: \[3, 6\]"):
        run_study(both, ORIGIN, tmp_path, restore_step=5)
    lines = []
    run_study(both, ORIGIN, tmp_path, restore_step=3, progress=SILENT._replace(line=lines.append))
    assert [line.strip() for line in lines if "resumed" in line] == ["resumed from step 3"]
    assert cell(tmp_path, "semi").joinpath("DONE").exists()


def test_seeds_that_were_stopped_together_go_on_together_to_the_same_bits(tmp_path):
    config = dataclasses.replace(ONE, seeds=3)
    options = ("--only", "classifier", "--seeds", "3", "--sample-every", "0")
    origin = ORIGIN._replace(argv=options)
    run_study(config, origin, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_study(config, origin, tmp_path / "stopped", stop=stop_at(6))
    lines = []
    run_study(config, origin, tmp_path / "stopped", progress=SILENT._replace(line=lines.append))
    assert sum("3 seeds vmapped" in line for line in lines) == 1
    for seed in range(3):
        whole, stopped = (load(cell(tmp_path / n, seed=seed)) for n in ("whole", "stopped"))
        assert whole.step == stopped.step == 12
        assert fingerprint.digest(whole.state) == fingerprint.digest(stopped.state)


def test_other_data_and_damaged_records_are_refused(tmp_path):
    with pytest.raises(Interrupted):
        run_study(ONE, ORIGIN, tmp_path, stop=stop_at(3))
    draw = json.loads((cell(tmp_path) / "manifest.json").read_text())["visible"]
    assert draw["count"] == 30 and len(draw["indices"]) == 30
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    intact = path.read_text()
    manifest["splits"]["train"]["images_sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"begun with other data: [^!]*images_sha256"):
        run_study(ONE, ORIGIN, tmp_path)
    path.write_text(intact)
    config = tmp_path / "config.json"
    config.write_text(config.read_text()[:100])
    with pytest.raises(ValueError, match=r"config\.json' is damaged .*another --workdir"):
        run_study(ONE, ORIGIN, tmp_path)


def test_a_best_score_that_no_one_measures_is_refused(tmp_path):
    config = dataclasses.replace(ONE, best="frechet", best_mode="min")
    with pytest.raises(ValueError, match=r"best='frechet' is no score .*'test_accuracy'"):
        run_study(config, ORIGIN, tmp_path)
