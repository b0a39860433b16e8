"""The experiments on scenes: what their arms are made of, and what their tables say."""

import pytest

from experiments import few_labels_tasks, scenes_cost, scenes_multitask, scenes_tuning
from experiments.scenes_multitask import SCORES, TASKS
from gan_mtl import table
from gan_mtl.run.config import Spec

SPEC = Spec((16, 16, 1), 3, (-1.0, 1.0), 100)


def scored(arm, seed, labels=None, **scores):
    return {"arm": arm, "labels": labels, "seed": seed, "scores": scores}


def cells(arm, seed, level, labels=None, tasks=TASKS):
    """All scores of the tasks at one level."""
    scores = {name: level for task in tasks for name in SCORES[task]}
    costs = {"parameters": 10 * len(tasks), "operations_per_image": 1e6 * len(tasks)}
    return scored(arm, seed, labels, **scores, **costs)


def rows_of(text, start):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0].startswith(start)]


def test_every_arm_of_scenes_multitask_has_its_tasks_and_its_way_to_share():
    for name, arm in scenes_multitask.ARMS.items():
        game = arm.build(arm.settings, SPEC)
        turn = game.turns[0]
        assert set(turn.objectives) == set(arm.settings.tasks)
        assert (turn.weighting is None) == (arm.settings.weighting == "")
        shared = table.shared_groups(turn)
        assert bool(shared) == (len(arm.settings.tasks) > 1), name
    weights = scenes_multitask.ARMS["tuned"].settings.weights
    assert sum(weights) == pytest.approx(3)


def test_changes_against_single_tasks_and_against_equal_weights():
    found = []
    for seed in (0, 1):
        found += [cells(f"single_{task}", seed, 0.5, tasks=(task,)) for task in TASKS]
        found += [cells("equal", seed, 0.4), cells("pcgrad", seed, 0.45 + 0.01 * seed)]
    text = scenes_multitask.tabulate(scenes_multitask.CONFIG, found)
    (three,) = rows_of(text, "a network for each task")
    assert three[1:7] == ["50.0 ± 0.0"] * 6 and three[-2:] == ["30", "3.0"]
    (equal,) = rows_of(text, "all three, equal weights")
    assert equal[7] == "20.00 ± 0.00" and equal[8] == "20.00" and equal[9] == ""
    (pcgrad,) = rows_of(text, "PCGrad")
    low, high = (float(x) for x in pcgrad[9].split(" .. "))
    assert low < 5.5 < high and low + high == pytest.approx(11, abs=0.02)
    (nash,) = rows_of(text, "Nash-MTL")
    assert nash[1:10] == ["-"] * 8 + [""]


def test_a_scarce_task_alone_looks_at_labelled_scenes_and_the_others_at_all():
    arms = few_labels_tasks.CONFIG.arms
    sources = {
        name: {t.name: t.source for t in few_labels_tasks.tasks_of(arm.settings, SPEC)}
        for name, arm in arms.items()
    }
    for task in TASKS:
        everything = dict.fromkeys(TASKS, "images")
        assert sources[f"{task}_alone"] == {task: "labelled_images"}
        assert sources[f"{task}_every"] == {task: "images"}
        assert sources[f"{task}_shared"] == {**everything, task: "labelled_images"}
        assert sources[f"{task}_upgrad"] == sources[f"{task}_shared"]
    text = few_labels_tasks.tabulate(
        few_labels_tasks.CONFIG,
        [
            cells(f"detection_{way}", seed, level + 0.01 * seed * (way == "shared"), labels=200)
            for seed in (0, 1)
            for way, level in (("alone", 0.3), ("shared", 0.4))
        ],
    )
    shared, upgrad = rows_of(text, "detection, few labels, trunk shared")
    assert shared[1:4] == ["40.5 ± 0.7", "40.5 ± 0.7", "+10.5"] and upgrad[1:3] == ["-", "-"]
    (alone,) = rows_of(text, "detection, few labels, alone")
    assert alone[3:] == ["", ""]


def test_the_best_choice_of_weights_stands_first():
    names = list(scenes_tuning.CONFIG.arms)
    levels = {name: 0.1 * i for i, name in enumerate(names)}
    found = [cells(name, 100, level) for name, level in levels.items()]
    text = scenes_tuning.tabulate(scenes_tuning.CONFIG, found)
    choices = [row[0] for row in rows_of(text, "")[2:]]
    assert choices == [scenes_tuning.CONFIG.arms[name].text for name in reversed(names)]


def test_three_networks_cost_the_sum_of_the_single_ones():
    keys = ("step_ms", "answer_ms_an_image", "parameters", "operations_per_image")
    rows = [{"arm": arm, **dict.fromkeys(keys, 2e6)} for arm in scenes_cost.SINGLE]
    (three,) = rows_of(scenes_cost.table(rows), "three networks")
    assert three[1:] == ["6000000.0", "6000000.00", "6,000,000", "6.0"]
    assert "three networks" not in scenes_cost.table(rows[:2])
    with pytest.raises(SystemExit, match=r"--only nothing is not one of"):
        scenes_cost.main(argv=["--only", "nothing"])
