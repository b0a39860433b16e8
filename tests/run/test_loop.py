"""The loop against one written by hand: lines, scores and checkpoints, stopped and resumed."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import regression

from gan_mtl.run import checkpoints, writers
from gan_mtl.run.loop import SILENT, Cell, Interrupted, Progress, train
from gan_mtl.update import alternating

CONFIG, SPEC = regression.CONFIG, regression.SPEC
SEEDS = (3, 4)


def run(folder, seeds=SEEDS, config=CONFIG, data=None, **options):
    cells = [Cell("linear", None, seed, folder / f"seed-{seed}") for seed in seeds]
    for cell in cells:
        cell.folder.mkdir(parents=True, exist_ok=True)
    datasets = [data or regression.dataset()] * len(cells)
    return train(config, config.arms["linear"], SPEC, cells, datasets, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def state_of(folder, step=None):
    game = regression.build(regression.Settings(), SPEC)
    batch = {"images": np.zeros((4, 2, 2, 1), np.float32), "labels": np.zeros(4, np.int32)}
    like = jax.jit(alternating(game).init)(jax.random.key(0), batch)
    store = checkpoints.open_checkpoints(folder / "checkpoints", read_only=True)
    found = store.restore(like, step)
    store.close()
    return found


def check_state(folder, steps, expected):
    found = state_of(folder, steps[-1])
    last = expected[steps[-1] - 1]
    assert int(found.state.step) == found.step == steps[-1]
    assert int(found.state.examples) == 4 * steps[-1]
    np.testing.assert_allclose(found.state.params["linear"]["w"], last.w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        found.state.ema["linear"]["params"]["w"], last.ema, rtol=1e-4, atol=1e-6
    )
    kept = sorted(int(p.name) for p in (folder / "checkpoints").glob("[0-9]*") if p.is_dir())
    assert kept == steps


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of two seeds that were trained side by side, their scores, what was shown."""
    folder = tmp_path_factory.mktemp("finished")
    shown = []
    bar = writers.silent()._replace(scalars=lambda step, values: shown.append((step, values)))
    progress = Progress(lambda text: None, lambda total, start: bar)
    scores = run(folder, progress=progress)
    return folder, scores, shown


@pytest.fixture(scope="module")
def expected():
    """The steps of every seed by hand."""
    return {seed: regression.by_hand(seed) for seed in SEEDS}


def means(steps, first, last):
    """The losses' means over some steps, of those that have one."""
    part = steps[first:last]
    return {
        f"model/{name}": np.nanmean([step.losses[name] for step in part])
        for name in ("class", "decay")
    }


def test_seeds_side_by_side_log_the_means_of_their_own_losses(finished, expected):
    folder, _, shown = finished
    for seed in SEEDS:
        found = lines(folder / f"seed-{seed}" / "metrics.jsonl")
        assert [line["step"] for line in found] == [2, 4, 6]
        for line in found:
            for name, value in means(expected[seed], line["step"] - 2, line["step"]).items():
                np.testing.assert_allclose(line[name], value, rtol=1e-4)
            assert line["time/steps_per_s"] > 0
    first = lines(folder / f"seed-{SEEDS[0]}" / "metrics.jsonl")
    assert [step for step, _ in shown] == [2, 4, 6]
    for (_, values), line in zip(shown, first, strict=True):  # the bar shows the first seed
        np.testing.assert_allclose(values["model/class"], line["model/class"], rtol=1e-6)


def test_seeds_side_by_side_are_scored_with_their_averaged_weights(finished, expected):
    folder, scores, _ = finished
    for seed, returned in zip(SEEDS, scores, strict=True):
        found = lines(folder / f"seed-{seed}" / "eval.jsonl")
        assert [line["step"] for line in found] == [3, 6]
        for line in found:
            by_hand = regression.scores_by_hand(expected[seed][line["step"] - 1].ema)
            assert line["test_accuracy"] == pytest.approx(by_hand["test_accuracy"])
            assert line["size"] == pytest.approx(by_hand["size"], rel=1e-4)
        assert returned == json.loads((folder / f"seed-{seed}" / "DONE").read_text())
        assert returned["step"] == 6 and returned["size"] == found[-1]["size"]
    assert scores[0]["size"] != scores[1]["size"]


def test_checkpoints_hold_the_weights_of_the_loop_by_hand(finished, expected):
    folder, _, _ = finished
    for seed in SEEDS:
        check_state(folder / f"seed-{seed}", [4, 6], expected[seed])
        assert state_of(folder / f"seed-{seed}").meta["seed"] == seed


def test_a_run_that_is_stopped_saves_and_goes_on_as_if_it_had_not_been(tmp_path, expected):
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match="stopped at step 3 of 6; saved"):
        run(tmp_path, SEEDS[:1], stop=lambda: next(asked))
    cell = tmp_path / f"seed-{SEEDS[0]}"
    check_state(cell, [2, 3], expected[SEEDS[0]])
    assert not (cell / "DONE").exists()
    told = []
    run(tmp_path, SEEDS[:1], progress=SILENT._replace(line=told.append))
    assert any("resumed from step 3" in text for text in told)
    check_state(cell, [4, 6], expected[SEEDS[0]])
    found = lines(cell / "metrics.jsonl")
    assert [line["step"] for line in found] == [2, 3, 4, 6]
    since = means(expected[SEEDS[0]], 4, 6)
    np.testing.assert_allclose(found[-1]["model/decay"], since["model/decay"], rtol=1e-4)
    assert (cell / "DONE").exists()


def test_going_back_to_a_checkpoint_replaces_what_came_after_it(tmp_path, expected):
    run(tmp_path, SEEDS[:1])
    cell = tmp_path / f"seed-{SEEDS[0]}"
    before = lines(cell / "metrics.jsonl"), lines(cell / "eval.jsonl")
    with pytest.raises(ValueError, match=r"restore_step=1: there are checkpoints \[4, 6\]"):
        run(tmp_path, SEEDS[:1], restore_step=1)
    run(tmp_path, SEEDS[:1], restore_step=4)
    check_state(cell, [4, 6], expected[SEEDS[0]])
    after = lines(cell / "metrics.jsonl"), lines(cell / "eval.jsonl")
    for old, new in zip(before, after, strict=True):
        assert [line["step"] for line in old] == [line["step"] for line in new]
    np.testing.assert_allclose(after[0][-1]["model/class"], before[0][-1]["model/class"])


def test_a_trained_cell_without_done_is_evaluated_only(finished):
    folder, scores, _ = finished
    cell = folder / f"seed-{SEEDS[0]}"
    (cell / "DONE").unlink()
    before = (cell / "metrics.jsonl").read_bytes()
    again = run(folder, SEEDS[:1])
    assert again == scores[:1] and json.loads((cell / "DONE").read_text()) == scores[0]
    assert (cell / "metrics.jsonl").read_bytes() == before


def test_checkpoints_of_another_config_are_refused(finished):
    folder, _, _ = finished
    longer = dataclasses.replace(CONFIG, steps=8)
    with pytest.raises(ValueError, match=r"checkpoint is of another config .*--workdir"):
        run(folder, SEEDS[:1], config=longer)


def spoken(digest):
    data = regression.dataset()
    return data._replace(manifest={**data.manifest, "front_end": {"sha256": digest}})


def test_checkpoints_of_another_front_end_are_refused_and_of_none_are_not(tmp_path, finished):
    with pytest.raises(Interrupted):
        run(tmp_path, SEEDS[:1], data=spoken("abc"), stop=lambda: True)
    cell = tmp_path / f"seed-{SEEDS[0]}"
    name = regression.dataset().name
    assert state_of(cell).meta["front_end"] == {name: "abc"}
    with pytest.raises(
        ValueError, match=r"front end {'.*': 'abc'}, the data of {'.*': 'def'}; use"
    ):
        run(tmp_path, SEEDS[:1], data=spoken("def"))
    with pytest.raises(ValueError, match=r"front end {'.*': 'abc'}, the data of none; use"):
        run(tmp_path, SEEDS[:1])
    folder, scores, _ = finished  # its checkpoints say nothing of a front end
    assert "front_end" not in state_of(folder / f"seed-{SEEDS[0]}").meta
    assert run(folder, SEEDS[:1], data=spoken("abc")) == scores[:1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps_per_call": 4}, "save_every=2 must be a multiple of steps_per_call=4"),
        ({"save_every": 4, "steps_per_call": 4}, "steps=6 must be a multiple of steps_per_call=4"),
    ],
)
def test_calls_of_many_steps_must_fit_the_rhythm(change, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        run(tmp_path, SEEDS[:1], config=dataclasses.replace(CONFIG, **change))


def test_many_steps_in_one_call_give_the_same_lines_and_scores(tmp_path, finished):
    folder, scores, _ = finished
    many = dataclasses.replace(CONFIG, steps_per_call=2, eval_every=2)
    found = run(tmp_path, config=many)
    for a, b in zip(found, scores, strict=True):
        assert a["size"] == pytest.approx(b["size"], rel=1e-5)
    for seed in SEEDS:
        pair = [lines(f / f"seed-{seed}" / "metrics.jsonl") for f in (tmp_path, folder)]
        for a, b in zip(*pair, strict=True):
            assert a["step"] == b["step"]
            np.testing.assert_allclose(a["model/decay"], b["model/decay"], rtol=1e-5)


def test_cells_are_called_by_arm_labels_and_seed(tmp_path):
    assert Cell("semi", 30, 2, tmp_path).name == "semi, 30 labels, seed 2"
    assert Cell("semi", None, 0, tmp_path).name == "semi, seed 0"
