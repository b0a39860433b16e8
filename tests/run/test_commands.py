"""gan-mtl on a finished run: sample, evaluate, report, list, and two folders of pictures."""

import functools
import json

import numpy as np
import pytest
from PIL import Image

from gan_mtl import data
from gan_mtl.run import commands


def test_sample_writes_a_grid(semi_run, tmp_path, capsys):
    out = tmp_path / "grid.png"
    commands.main(["sample", str(semi_run), "--n", "6", "--columns", "3", "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.size[0] > 3 * 8
    assert str(out) in capsys.readouterr().out


def test_evaluate_gives_the_scores_of_done_again(semi_run, capsys):
    commands.main(["evaluate", str(semi_run)])
    scores = json.loads(capsys.readouterr().out)
    done = json.loads((semi_run / "DONE").read_text())
    assert scores["test_accuracy"] == done["test_accuracy"] and scores["step"] == 3


def test_report_and_list(semi_run, capsys):
    commands.main(["report", str(semi_run)])
    assert (semi_run / "report.html").read_text().startswith("<!")
    commands.main(["list", str(semi_run.parent.parent)])
    out = capsys.readouterr().out
    assert str(semi_run) in out and "test_accuracy" in out


def test_two_folders_of_pictures_are_scored(tmp_path, capsys, monkeypatch):
    briefly = functools.partial(commands.train_features, steps=40)
    monkeypatch.setattr(commands, "train_features", lambda data, _: briefly(data, tmp_path))
    digits = data.load("digits")
    for name, split in (("reals", digits.test), ("fakes", digits.train)):
        np.savez(tmp_path / f"{name}.npz", images=split.images[:60], labels=split.labels[:60])
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    for i, image in enumerate(noise):
        Image.fromarray(image).save(folder / f"{i}.png")

    def score(fakes):
        commands.main(["evaluate", "--reals", str(tmp_path / "reals.npz"), "--fakes", str(fakes)])
        return json.loads(capsys.readouterr().out)

    close, far = score(tmp_path / "fakes.npz"), score(folder)
    assert close["frechet"] < far["frechet"] and close["precision"] > far["precision"]
    assert far["protocol"]["fake"] == 20 and close["protocol"]["features_hash"]


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        (["evaluate"], "--reals and --fakes"),
        (["sample", "/nowhere"], "no run"),
        (["list", "/nowhere"], "no runs below"),
    ],
)
def test_bad_calls_are_refused_by_name(argv, match, capsys):
    with pytest.raises(SystemExit):
        commands.main(argv)
    assert match in capsys.readouterr().err


def test_a_label_outside_its_range(semi_run, capsys):
    with pytest.raises(SystemExit):
        commands.main(["sample", str(semi_run), "--label", "11"])
    assert "label=11 is outside 0 .. 9" in capsys.readouterr().err
