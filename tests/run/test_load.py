"""Runs back in Python: the checkpoint that was asked for, with the weights of a loop by hand."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import regression
import tiny_experiment

from gan_mtl.run import study
from gan_mtl.run.checkpoints import CheckpointError
from gan_mtl.run.cli import parse
from gan_mtl.run.config import Spec
from gan_mtl.run.load import blank_batch, load, rebuild
from gan_mtl.run.record import Origin

SEED = 5


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A finished study of one seed and two arms, one of them a game."""
    folder = tmp_path_factory.mktemp("loaded")
    argv = ("--data", regression.write_npz(folder), "--seed", str(SEED))
    config = parse(regression.CONFIG, argv).config
    study.run_study(config, Origin("regression", argv), folder / "0001")
    return folder / "0001"


@pytest.mark.parametrize(("step", "given"), [(6, None), (6, 6), (4, 4)])
def test_the_state_is_that_of_the_step_asked_for_the_latest_by_default(workdir, step, given):
    loaded = load(workdir / "linear" / f"seed-{SEED}", given)
    expected = regression.by_hand(SEED)[step - 1]
    assert (loaded.step, int(loaded.state.step), loaded.seed) == (step, step, SEED)
    np.testing.assert_allclose(loaded.state.params["linear"]["w"], expected.w, rtol=1e-4, atol=1e-6)
    images = regression.dataset().test.images
    logits = (images.reshape(-1, 4) / 127.5 - 1) @ expected.ema  # averaged weights predict
    np.testing.assert_allclose(loaded.predict("class", images), logits, rtol=1e-3, atol=1e-5)


def test_what_the_game_was_built_from_comes_back(workdir):
    loaded = load(str(workdir / "linear" / f"seed-{SEED}"))
    assert loaded.spec == Spec((2, 2, 1), 3, (-1.0, 1.0), 6)
    assert loaded.config.seed == SEED and loaded.arm.text == "softmax regression"
    assert loaded.config.data.endswith("corners.npz")
    assert [turn.name for turn in loaded.game.turns] == ["model"]


def test_a_game_that_generates_nothing_says_so(workdir):
    loaded = load(workdir / "linear" / f"seed-{SEED}")
    with pytest.raises(ValueError, match="'linear' generates nothing"):
        loaded.sample(jax.random.key(0), 3)


def test_a_row_that_is_no_game_is_not_loaded(workdir):
    with pytest.raises(ValueError, match="is of 'majority', which is not a game"):
        load(workdir / "majority" / f"seed-{SEED}")


def test_a_study_lists_its_runs(workdir):
    with pytest.raises(ValueError, match="is a study") as refused:
        load(workdir)
    listed = str(refused.value).split("\n  ")[1:]
    assert listed == [str(workdir / arm / f"seed-{SEED}") for arm in ("linear", "majority")]


def test_a_checkpoint_that_is_not_there_is_refused(workdir):
    with pytest.raises(CheckpointError, match="no checkpoint of step 5"):
        load(workdir / "linear" / f"seed-{SEED}", 5)


def test_a_record_is_rebuilt_with_its_options_or_refused_with_the_fields(workdir, tmp_path):
    config, record = rebuild(workdir / "linear" / f"seed-{SEED}")
    assert config.seed == SEED and record["cell"]["arm"] == "linear"
    record["config"]["arms"]["linear"]["settings"]["rate"] = 0.25
    record["config"]["gone"] = 1
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError) as refused:
        rebuild(tmp_path)
    told = str(refused.value)
    assert "arms.linear.settings.rate: 0.25 -> 0.5" in told and "gone: 1 -> '(absent)'" in told
    assert "batch_size" not in told and "env.json" in told


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"images": 16, "labelled_images": 8, "labelled_labels": 8}),
        ({"labels": ()}, {"images": 16, "labels": 16, "labelled_images": 8, "labelled_labels": 8}),
        ({"labels": (), "labelled_batch_size": 0}, {"images": 16, "labels": 16}),
    ],
)
def test_a_blank_batch_has_the_entries_that_training_has(change, expected):
    config = dataclasses.replace(tiny_experiment.CONFIG, **change)
    spec = Spec((8, 8, 1), 10, (0.0, 1.0), 12)
    game = regression.build(regression.Settings(), spec)
    twice = game._replace(turns=(game.turns[0]._replace(repeats=2),))
    for repeats, played in ((1, game), (2, twice)):
        batch = blank_batch(config, spec, played)
        assert {k: len(x) for k, x in batch.items()} == {
            k: repeats * n for k, n in expected.items()
        }
        assert batch["images"].shape[1:] == (8, 8, 1) and (batch["images"] == 0.5).all()
        assert all(x.dtype == (np.int32 if "labels" in k else np.float32) for k, x in batch.items())
