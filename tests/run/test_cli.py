"""The command line: options, refusals by name, dry runs, study folders; one process for all."""

import json

import pytest
import tiny_experiment

from gan_mtl.run import cli, config, study
from gan_mtl.run.load import load, rebuild

CONFIG = tiny_experiment.CONFIG


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished study of two seeds."""
    workdir = tmp_path_factory.mktemp("study") / "0001"
    assert cli.main(CONFIG, ["--workdir", str(workdir), "--seeds", "2"]) == 0
    return workdir


def refused(argv, capsys, *parts):
    with pytest.raises(SystemExit) as stopped:
        cli.main(CONFIG, argv)
    assert stopped.value.code not in (0, None)
    captured = capsys.readouterr()
    text = " ".join((captured.out + captured.err).split())
    for part in parts:
        assert part in text, text


def test_a_study_leaves_a_folder_per_cell(finished):
    for cell in study.cells_of(cli.parse(CONFIG, ["--seeds", "2"]).config, finished):
        scores = json.loads((cell.folder / "DONE").read_text())
        assert 0.0 <= scores["test_accuracy"] <= 1.0
        for name in ("config.json", "command.txt", "env.json", "report.html"):
            assert (cell.folder / name).exists(), (cell, name)
    gan = finished / "labels-30" / "semi" / "seed-1"
    assert (gan / "samples" / "reals.png").exists() and (gan / "samples" / "000012.png").exists()
    assert "feature_matching" in (gan / "game.txt").read_text()
    lines = [json.loads(line) for line in (gan / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert "disc/adversarial" in lines[0]
    evals = [json.loads(line) for line in (gan / "eval.jsonl").read_text().splitlines()]
    assert [line["step"] for line in evals] == [6, 12]
    results = json.loads((finished / "results.json").read_text())
    assert len(results["cells"]) == 6 and results["feature_network"]["hash"]
    assert "| semi" in (finished / "table.md").read_text()


def test_finished_cells_are_skipped(finished, capsys):
    before = (finished / "labels-30" / "semi" / "seed-0" / "DONE").stat().st_mtime_ns
    assert cli.main(CONFIG, ["--workdir", str(finished), "--seeds", "2"]) == 0
    assert (finished / "labels-30" / "semi" / "seed-0" / "DONE").stat().st_mtime_ns == before
    assert "semi:" not in capsys.readouterr().out


def test_what_is_done_can_be_collected_without_training(finished, tmp_path, capsys):
    before = json.loads((finished / "results.json").read_text())
    folders = sorted(path for path in finished.rglob("seed-*"))
    path = tmp_path / "found.json"
    more = ["--workdir", str(finished), "--seeds", "3", "--collect", "--results", str(path)]
    assert cli.main(CONFIG, more) == 0
    found = json.loads(path.read_text())
    assert len(found["cells"]) == 9 and "step 3/12" not in capsys.readouterr().out
    done = [cell for cell in found["cells"] if cell["scores"] is not None]
    assert done == before["cells"] and {cell["seed"] for cell in done} == {0, 1}
    assert found["feature_network"] == before["feature_network"]
    assert "--collect" in found["command"]
    assert sorted(path for path in finished.rglob("seed-*")) == folders
    assert cli.main(CONFIG, ["--workdir", str(finished), "--seeds", "2", "--collect"]) == 0
    refused(["--collect"], capsys, "--collect asks for the runs of a folder: give --workdir")
    nowhere = ["--collect", "--workdir", str(tmp_path / "nowhere")]
    refused(nowhere, capsys, "holds no study whose runs could be collected")


def test_a_run_comes_back_in_three_lines(finished):
    import jax
    import numpy as np

    loaded = load(finished / "labels-30" / "semi" / "seed-0")
    images = loaded.sample(jax.random.key(0), 3)
    assert images.shape == (3, 8, 8, 1) and loaded.step == 12
    logits = loaded.predict("class", np.zeros((5, 8, 8, 1), np.uint8))
    assert logits.shape == (5, 10)
    with pytest.raises(ValueError, match="is a study; load one of its runs"):
        load(finished)
    with pytest.raises(ValueError, match=r"no run: it has no config\.json"):
        load(finished / "labels-30" / "semi")


def test_a_run_whose_module_has_changed_is_refused_with_the_fields(finished, tmp_path):
    record = json.loads((finished / "labels-30" / "semi" / "seed-0" / "config.json").read_text())
    record["config"]["arms"]["semi"]["settings"]["width"] = 99
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"arms\.semi\.settings\.width: 99 -> 12"):
        rebuild(tmp_path)


def test_a_workdir_of_another_config_is_refused_with_the_fields(finished, capsys):
    refused(
        ["--workdir", str(finished), "--arms.semi.settings.width", "13", "--steps", "15"],
        capsys,
        "arms.semi.settings.width: 12 -> 13",
        "steps: 12 -> 15",
        "another --workdir",
    )


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--stpes", "3"], ["--stpes", "Perhaps you meant", "--steps"]),
        (["--parallel", "xla"], ["xla", "jit", "pmap"]),
        (["--steps", "0"], ["steps=0", "at least 1"]),
        (["--save-every", "4"], ["save_every=4", "log_every=3"]),
        (["--preset", "big"], ["preset='big'", "slow", "smoke"]),
        (["--only", "gan"], ["only=['gan']", "classifier", "semi"]),
        (["--data", "minst"], ["minst", "mnist"]),
        (["--labels", "35"], ["labels=35", "multiple of the 10 classes", "30"]),
        (["--labels", "-3"], ["labels="]),
        (["--batch-size", "5000"], ["batch_size=5000", "1437"]),
        (["--devices", "3"], ["batch_size=16", "3 devices", "15 or 18"]),
        (["--devices", "99"], ["99"]),
        (["--data", "folder:/nowhere"], ["/nowhere"]),
        (["--data", "mnist", "--data-dir", "/nowhere"], ["/nowhere"]),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_bad_input_is_refused_by_name_before_anything_runs(argv, parts, capsys, tmp_path):
    refused([*argv, "--workdir", str(tmp_path / "run")], capsys, *parts)
    assert not list(tmp_path.rglob("checkpoints"))


def test_an_unwritable_workdir(capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    refused(["--workdir", str(blocked / "run")], capsys, "workdir=", "cannot be written")


def test_a_dry_run_prints_tables_parameters_and_devices(capsys, tmp_path):
    assert cli.main(CONFIG, ["--dry-run", "--workdir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "feature_matching" in out and "parameters (" in out
    assert "16 examples per device" in out.replace(
        "2 examples per device", "16 examples per device"
    )
    assert not (tmp_path / "run").exists()


def test_a_non_finite_loss_names_step_turn_objective_and_the_good_checkpoint(capsys, tmp_path):
    argv = ["--arms.classifier.settings.explode-at", "7", "--only", "classifier"]
    refused(
        [*argv, "--workdir", str(tmp_path / "run")],
        capsys,
        "Non-finite loss at step 8",
        "turn 'model'",
        "objective 'class'",
        "checkpoint of step 6 is good",
    )
    kept = tmp_path / "run" / "labels-30" / "classifier" / "seed-0" / "checkpoints"
    assert sorted(int(p.name) for p in kept.glob("[0-9]*")) == [3, 6]


def test_records_have_no_closures():
    with pytest.raises(TypeError, match="cannot be found again"):
        config.to_json(lambda: None)
    record = config.to_json(CONFIG)
    assert record["arms"]["semi"]["build"] == "tiny_experiment:semi"
    json.dumps(record)
