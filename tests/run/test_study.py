"""A study: its cells, what they may see, what is run again, and results against loops by hand."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import regression

from gan_mtl.data import Dataset, Split
from gan_mtl.run import study, tables
from gan_mtl.run.config import Arm, Config, Spec, check
from gan_mtl.run.loop import Cell, Interrupted
from gan_mtl.run.record import Origin

CALLS: list[tuple[int, list[int]]] = []
BROKEN: set[int] = set()


def counted(settings, dataset, seed):
    """Notes what it is called with and fails for broken seeds; the score tells the seed."""
    CALLS.append((seed, dataset.train.visible.tolist()))
    if seed in BROKEN:
        raise FloatingPointError(f"seed {seed}")
    return {"test_accuracy": seed / 10}


def config_of(**options):
    arms = {"a": Arm(None, fit=counted), "b": Arm(None, fit=counted)}
    return dataclasses.replace(regression.CONFIG, arms=arms, **options)


@pytest.fixture
def calls():
    """What the fits were called with, in order."""
    CALLS.clear()
    BROKEN.clear()
    return CALLS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The name of the data set on disk."""
    return regression.write_npz(tmp_path_factory.mktemp("data"))


def test_cells_are_labels_times_arms_times_seeds_in_order():
    config = config_of(labels=(3, 6), seed=7, seeds=2)
    root = pathlib.Path("runs/x/0001")
    assert study.cells_of(config, root) == [
        Cell(arm, labels, seed, root / f"labels-{labels}" / arm / f"seed-{seed}")
        for labels in (3, 6)
        for arm in ("a", "b")
        for seed in (7, 8)
    ]
    (cell,) = study.cells_of(config_of(only=("b",)), root)
    assert cell == Cell("b", None, 0, root / "b" / "seed-0")


def test_workdirs_are_numbered_after_the_highest(tmp_path):
    config = config_of()
    assert study.new_workdir(config, str(tmp_path)) == tmp_path / "regression" / "0001"
    for name in ("0002", "0010", "0x11", "features.npz"):
        (tmp_path / "regression" / name).mkdir(parents=True)
    assert study.new_workdir(config, str(tmp_path)) == tmp_path / "regression" / "0011"


def test_spec_and_validation_part_come_from_the_data(data):
    config = config_of(data=data, validation=6, value_range=(0.0, 1.0))
    dataset = study.load_data(config)
    assert dataset.validation is not None and dataset.validation.num_examples == 6
    assert dataset.train.num_examples == 18 and dataset.test.num_examples == 9
    assert study.spec_of(config, dataset) == Spec((2, 2, 1), 3, (0.0, 1.0), 6)


def test_label_counts_without_labels_and_batches_without_images_are_refused():
    blank = Split(np.zeros((5, 2, 2, 1), np.uint8), np.full(5, -1, np.int32))
    dataset = Dataset("blank", blank, blank, 0, (), {})
    with pytest.raises(ValueError, match=r"labels=30, but 'digits' has no labels"):
        study.check_batches(config_of(labels=(30,)), dataset)
    with pytest.raises(ValueError, match=r"batch_size=6, but 'digits' has 5 training images"):
        study.check_batches(config_of(batch_size=6), dataset)
    study.check_batches(config_of(batch_size=5), dataset)


def test_a_cell_sees_as_many_labels_of_every_class_as_it_should_drawn_by_its_seed(data):
    dataset = study.load_data(config_of(data=data))
    drawn = {}
    for seed in (0, 1, 0):
        for labels in (3, 9):
            seen = study.visible_data(dataset, Cell("a", labels, seed, pathlib.Path()))
            visible = seen.train.visible
            assert np.bincount(seen.train.labels[visible]).tolist() == [labels // 3] * 3
            np.testing.assert_array_equal(seen.train.labels[visible], dataset.train.labels[visible])
            assert seen.test is dataset.test
            assert drawn.setdefault((labels, seed), visible.tolist()) == visible.tolist()
        assert set(drawn[3, seed]) < set(drawn[9, seed])
    assert drawn[9, 0] != drawn[9, 1]
    assert study.visible_data(dataset, Cell("a", None, 0, pathlib.Path())) is dataset


def test_only_what_is_missing_is_run_and_seeds_may_be_added(data, tmp_path, calls):
    config = config_of(data=data, seeds=2, labels=(3,))
    origin = Origin("regression", ())
    first = study.run_study(config, origin, tmp_path)
    assert [seed for seed, _ in calls] == [0, 1, 0, 1]
    assert calls[0] == calls[2] and len(calls[0][1]) == 3  # arms see the same labels
    calls.clear()
    assert study.run_study(config, origin, tmp_path)["cells"] == first["cells"] and not calls
    (tmp_path / "labels-3" / "b" / "seed-1" / "DONE").unlink()
    study.run_study(config, origin, tmp_path)
    assert [seed for seed, _ in calls] == [1]
    calls.clear()
    more = study.run_study(dataclasses.replace(config, seeds=3), origin, tmp_path)
    assert [seed for seed, _ in calls] == [2, 2]
    scores = {(c["arm"], c["seed"]): c["scores"]["test_accuracy"] for c in more["cells"]}
    assert scores == {(arm, seed): seed / 10 for arm in "ab" for seed in range(3)}


def test_a_study_that_breaks_keeps_its_finished_cells_and_goes_on(data, tmp_path, calls):
    config = config_of(data=data, seeds=3)
    origin = Origin("regression", ())
    BROKEN.add(2)
    with pytest.raises(FloatingPointError, match="seed 2"):
        study.run_study(config, origin, tmp_path)
    assert not (tmp_path / "DONE").exists()
    half = study.collect(config, origin, tmp_path, None)
    known = [(c["arm"], c["seed"]) for c in half["cells"] if c["scores"] is not None]
    assert known == [("a", 0), ("a", 1)]
    assert "0.1" in half["table"]  # the mean of what is there: 0.05, rounded
    calls.clear()
    BROKEN.clear()
    study.run_study(config, origin, tmp_path)
    assert [seed for seed, _ in calls] == [2, 0, 1, 2]
    assert (tmp_path / "DONE").read_text() == (tmp_path / "table.md").read_text()


def test_a_workdir_belongs_to_a_config_save_for_what_changes_no_mathematics(data, tmp_path, calls):
    config, origin = config_of(data=data), Origin("regression", ())
    study.run_study(config, origin, tmp_path)
    study.run_study(dataclasses.replace(config, seeds=2, only=("a",), keep=7), origin, tmp_path)
    assert [seed for seed, _ in calls] == [0, 0, 1]
    with pytest.raises(ValueError, match=r"another config; it differs in\n  batch_size: 4 -> 5\n"):
        study.run_study(dataclasses.replace(config, batch_size=5), origin, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["seeds"] == 2


def test_results_name_command_and_environment_but_no_place_on_the_machine(data, tmp_path):
    argv = ("--workdir", str(tmp_path), "--results=out.json", "--data-dir", "/data", "--seeds", "1")
    origin = Origin("experiments.x", argv, "cpu")
    results = study.collect(config_of(data=data), origin, tmp_path, None)
    assert results["command"] == "python -m experiments.x --seeds 1"
    assert results["preset"] == "cpu" and results["feature_network"] is None
    assert [cell["scores"] for cell in results["cells"]] == [None, None]
    assert results["environment"]["numpy"] == np.__version__
    spaced = Origin("experiments.x", ("--data", "npz:a b.npz"))
    results = study.collect(config_of(data=data), spaced, tmp_path, None)
    assert results["command"] == "python -m experiments.x --data 'npz:a b.npz'"


def test_the_tables_of_the_arms_are_shown_and_rows_without_a_game_named():
    text = study.tables(regression.CONFIG, regression.SPEC)
    assert text.split("\n\n") == [
        "linear: softmax regression",
        "turn   objective                 linear\n"
        "model  class                          1\n"
        "model  decay (every 2, times 2)     0.1",
        "majority: the most frequent class (no game)",
    ]


def test_seeds_that_are_added_to_a_stopped_one_are_trained_as_if_alone(data, tmp_path):
    """Seed 0 stops half way, then seeds 0 to 2: every cell ends where the loop by hand does."""
    config: Config = dataclasses.replace(regression.CONFIG, data=data)
    origin = Origin("regression", ("--data", data))
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        study.run_study(config, origin, tmp_path, stop=lambda: next(asked))
    results = study.run_study(dataclasses.replace(config, seeds=3), origin, tmp_path)
    for seed, steps in ((0, [2, 3, 4, 6]), (1, [2, 4, 6])):  # seed 0 went on, the others began
        lines = (tmp_path / "linear" / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == steps
    trained = {c["seed"]: c["scores"] for c in results["cells"] if c["arm"] == "linear"}
    assert sorted(trained) == [0, 1, 2]
    for seed, scores in trained.items():
        expected = regression.scores_by_hand(regression.by_hand(seed)[-1].ema)
        assert scores["step"] == 6
        assert scores["size"] == pytest.approx(expected["size"], rel=1e-4)
        assert scores["test_accuracy"] == pytest.approx(expected["test_accuracy"])
    table = (tmp_path / "table.md").read_text()
    accuracies = [trained[seed]["test_accuracy"] for seed in range(3)]
    assert f"{np.mean(accuracies):.1f} ± {np.std(accuracies, ddof=1):.1f}" in table


def test_folds_are_data_sets_with_a_folder_each_and_more_may_be_added(data, tmp_path, calls):
    origin = Origin("regression", ())
    names = [data, regression.write_npz(tmp_path)]
    config = config_of(data="not looked at", folds=(names[0],), feature_steps=0)
    study.run_study(config, origin, tmp_path / "run")
    config = dataclasses.replace(config, folds=tuple(names))
    assert len(calls) == 2
    results = study.run_study(config, origin, tmp_path / "run")
    assert len(calls) == 4  # the first fold's were there
    assert [(c["data"], c["arm"]) for c in results["cells"]] == [
        (n, a) for n in names for a in "ab"
    ]
    cells = study.cells_of(config, tmp_path / "run")
    assert len({cell.folder.parent.parent for cell in cells}) == 2
    assert all((cell.folder / "DONE").exists() and ":" not in str(cell.folder) for cell in cells)
    record = json.loads((cells[2].folder / "config.json").read_text())
    assert record["cell"]["data"] == names[1] and record["config"]["folds"] == names
    assert tables.values(results["cells"], "a", "test_accuracy", data=names[1]) == {0: 0.0}
    assert tables.values(results["cells"], "a", "test_accuracy") == {}


def test_a_fold_twice_and_samples_scored_on_folds_are_refused():
    for wrong, message in (
        ({"folds": ("x", "x"), "feature_steps": 0}, "twice"),
        ({"folds": ("x",)}, "feature_steps=None"),
    ):
        with pytest.raises(ValueError, match=message):
            check(config_of(**wrong))


def go_on(settings, spec, trained=None):
    """The same game at a rate of 0, from what another arm has trained."""
    game = regression.build(settings, spec)
    if trained is None:
        return game
    assert set(trained) == {"linear"} and set(trained["linear"]) == {"params"}
    return game._replace(init=lambda key, batch: trained, ema={})


def test_an_arm_goes_on_from_what_another_has_trained_with_the_same_seed(data, tmp_path):
    arms = {
        "first": regression.CONFIG.arms["linear"],
        "second": Arm(go_on, regression.Settings(0.0), after="first"),
    }
    config = dataclasses.replace(regression.CONFIG, arms=arms, data=data, seeds=2)
    origin = Origin("regression", ())
    with pytest.raises(ValueError, match=r"first/seed-0' is no finished run: run this arm first"):
        study.run_study(dataclasses.replace(config, only=("second",)), origin, tmp_path)
    cells = study.run_study(config, origin, tmp_path)["cells"]
    sizes = {(c["arm"], c["seed"]): c["scores"]["size"] for c in cells}
    assert sizes["first", 0] != sizes["first", 1]
    for seed in (0, 1):
        weights = regression.by_hand(seed)[-1].w
        size = regression.scores_by_hand(weights)["size"]
        assert sizes["second", seed] == pytest.approx(size, rel=1e-4)
    wrong = dataclasses.replace(config, arms=dict(reversed(arms.items())))
    with pytest.raises(ValueError, match=r"arms.second.after='first'"):
        check(wrong)
