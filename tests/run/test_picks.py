"""Three accuracies: what is picked from hand-made evaluations, and what an evaluation holds."""

import numpy as np
import pytest

from gan_mtl import data, metrics
from gan_mtl.run import picks, tables
from gan_mtl.run.evaluate import Evaluation


def line(step, accuracy, **validators):
    return {"step": step, "target_accuracy": accuracy, **validators}


def cell(arm, seed, *lines, fold=None):
    found = {"arm": arm, "labels": None, "seed": seed, "scores": {**lines[-1]}}
    return {**found, "evaluations": list(lines), **({} if fold is None else {"data": fold})}


CELLS = [
    cell("a", 0, line(1, 0.5, information=1.0, dev=3.0), line(2, 0.6, information=2.0, dev=4.0)),
    cell("b", 0, line(1, 0.9, information=1.5, dev=2.0), line(2, 0.4, information=1.7, dev=-1.0)),
    cell("a", 1, line(1, 0.7, information=0.3, dev=1.0), line(2, 0.2, information=0.3, dev=1.0)),
]


def test_the_last_step_the_pick_and_the_oracle_differ():
    assert picks.accuracies(picks.last(CELLS, "b")) == {0: 0.4}
    assert picks.picked(CELLS, ["b"]) == {0: picks.Pick("b", 2, 0.4)}
    assert picks.picked(CELLS, ["b"], by="dev") == {0: picks.Pick("b", 2, 0.4)}  # lower is better
    assert picks.picked(CELLS, ["a"], by="dev")[0] == picks.Pick("a", 1, 0.5)
    assert picks.oracle(CELLS, ["b"]) == {0: picks.Pick("b", 1, 0.9)}


def test_chance_is_the_mean_of_arms_and_checkpoints():
    assert picks.chance(CELLS, ["a"]) == pytest.approx({0: 0.55, 1: 0.45})
    assert picks.chance(CELLS, ["a", "b"]) == pytest.approx({0: 0.6})
    assert picks.chance(CELLS, []) == {}


def test_every_validator_prefers_a_model_that_is_sure_and_right():
    """Values of the metrics themselves, of which some are best high and some low."""
    draw = np.random.default_rng(0)
    classes, weights = np.arange(60) % 3, draw.uniform(0.5, 1.5, 60)
    right = 6.0 * np.eye(3)[classes] + 0.1 * draw.normal(size=(60, 3))
    doubtful = 0.5 * np.eye(3)[classes] + 2.0 * draw.normal(size=(60, 3))

    def seen(step, logits):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses = -np.log(p[np.arange(60), classes])
        return line(
            step,
            0.5,
            information=metrics.information_maximisation(logits),
            entropy=metrics.mean_entropy(logits),
            snd=metrics.soft_neighbourhood_density(p),
            weighted_risk=metrics.importance_weighted_risk(losses, weights),
            dev=metrics.deep_embedded_validation(losses, weights),
            source_accuracy=metrics.accuracy(classes, logits.argmax(axis=1)),
        )

    cells = [cell("a", 0, seen(1, doubtful), seen(2, right), seen(3, doubtful))]
    assert {by: picks.picked(cells, ["a"], by)[0].step for by in picks.BEST} == dict.fromkeys(
        picks.BEST, 2
    )


def test_a_pick_over_methods_is_of_seeds_that_all_have_and_ties_go_to_the_first():
    assert picks.picked(CELLS, ["a", "b"]) == {0: picks.Pick("a", 2, 0.6)}
    assert picks.oracle(CELLS, ["a", "b"]) == {0: picks.Pick("b", 1, 0.9)}
    assert picks.picked(CELLS, ["a"])[1] == picks.Pick("a", 1, 0.7)
    assert picks.picked(CELLS, []) == {}


def test_the_pick_does_not_look_at_the_targets_labels():
    other = [
        {**c, "evaluations": [{**x, "target_accuracy": 1 - x["target_accuracy"]} for x in lines]}
        for c in CELLS
        for lines in [c["evaluations"]]
    ]
    for by in ("information", "dev"):
        found = [
            {seed: (p.arm, p.step) for seed, p in picks.picked(cells, ["a", "b"], by=by).items()}
            for cells in (CELLS, other)
        ]
        assert found[0] == found[1]
    assert picks.oracle(other, ["b"])[0].step == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_not_a_number_is_named_and_not_passed_over(value):
    broken = cell("a", 0, line(1, 0.1, snd=0.0), line(2, 0.9, snd=value))
    other = cell("b", 0, line(1, 0.3, snd=1.0), line(2, 0.4, snd=2.0))
    with pytest.raises(ValueError, match=rf"a, step 2: 'snd' is {value}.*another validator"):
        picks.picked([broken, other], ["b", "a"], by="snd")
    assert picks.picked([broken, other], ["b"], by="snd") == {0: picks.Pick("b", 2, 0.4)}
    assert picks.oracle([broken], ["a"]) == {0: picks.Pick("a", 2, 0.9)}
    wrong = cell("a", 0, line(1, value, snd=0.0))
    with pytest.raises(ValueError, match=f"a, step 1: 'target_accuracy' is {value}"):
        picks.last([wrong], "a")


def test_what_is_not_done_is_left_out_and_what_is_evaluated_once_is_that():
    found = cell("a", 0, line(1, 0.9, snd=-1.0), line(2, 0.1, snd=0.0))
    assert picks.picked([found], ["a"], by="snd")[0].step == 2
    open_cell = {**found, "scores": None}
    assert picks.picked([open_cell], ["a"], by="snd") == {}
    once = {**found, "evaluations": []}  # evaluated at the end alone
    assert picks.picked([once], ["a"], by="snd")[0].step == 2


def test_folds_are_told_apart_and_averaged_over_the_seeds_of_all():
    cells = [cell("a", s, line(1, 0.1 * s + x), fold=f) for s in (1, 2) for f, x in FOLDS.items()]
    by_fold = [picks.accuracies(picks.last(cells, "a", fold=f)) for f in FOLDS]
    assert tables.mean_over(by_fold) == pytest.approx({1: 0.35, 2: 0.45})
    assert tables.mean_over([by_fold[0], {2: 0.0}]) == pytest.approx({2: 0.1})
    assert picks.last(cells, "a") == {} and tables.mean_over([]) == {}


FOLDS = {"one": 0.0, "two": 0.5}


def test_an_unknown_validator_and_a_score_that_is_not_there_are_named():
    with pytest.raises(ValueError, match=r"by='luck'.*information"):
        picks.picked(CELLS, ["a"], by="luck")
    with pytest.raises(ValueError, match=r"a, step 1: the evaluation has no 'snd'"):
        picks.picked(CELLS, ["a"], by="snd")


def evaluation(hide=False):
    """Two domains of images of one value, and a network that says its class by that value."""

    def one(name, shift, count):
        labels = (np.arange(count) % 2).astype(np.int32)
        noise = np.random.default_rng(len(name)).integers(0, 40, (count, 2, 2, 1))
        images = (noise + shift + 100 * labels[:, None, None, None]).astype(np.uint8)
        train = data.Split(images, np.full_like(labels, -1) if hide and name == "new" else labels)
        return data.assemble(name, train, data.Split(images, labels), ("x", "y"), source="made")

    whole = data.joined("both", [one("old", 0, 30), one("new", 60, 20)])

    def predict(name, images):
        value = images.reshape(len(images), -1).mean(axis=1) / 50
        return value[:, None] if name == "features" else np.stack([0 * value, value - 1.6], axis=1)

    return Evaluation(None, predict, None, whole, None, None, 0, None)  # pyright: ignore


def test_an_evaluation_holds_the_accuracies_and_every_validator():
    e = evaluation()
    found = picks.scores(e, "old", "new")
    assert set(found) == {"target_accuracy", *picks.BEST}
    new = data.part(e.dataset, e.dataset.test, "new")
    logits = e.predict("class", new.images)
    assert found["target_accuracy"] == (logits.argmax(axis=1) == new.labels).mean() < 1
    assert found["source_accuracy"] == 1.0
    assert found["entropy"] == pytest.approx(metrics.mean_entropy(logits))  # the same images
    assert found["information"] == pytest.approx(metrics.information_maximisation(logits))
    assert all(np.isfinite(value) for value in found.values())


def test_the_targets_training_labels_are_read_by_nothing():
    assert picks.scores(evaluation(True), "old", "new") == picks.scores(evaluation(), "old", "new")
