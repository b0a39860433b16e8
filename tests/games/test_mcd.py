"""MCD: its three turns, their losses by hand, who moves, bad input."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games
from gan_mtl.types import starting


def game(**options):
    return games.mcd(linear(3), linear(3), optax.sgd(0.1), domains=two.DOMAINS, **options)


def test_its_table():
    header, lines = two.rows(game(weight=0.5))
    assert header == ["turn", "objective", "trunk", "heads/class/1", "heads/class/2"]
    assert lines == [
        ["classes", "class/1", "1", "1", "."],
        ["classes", "class/2", "1", ".", "1"],
        ["disagree", "class/1", ".", "1", "."],
        ["disagree", "class/2", ".", ".", "1"],
        ["disagree", "discrepancy", ".", "-0.5", "-0.5"],
        ["agree", "x4", "discrepancy", "0.5", ".", "."],
    ]


def test_the_losses_are_of_labelled_source_and_unlabelled_target_examples():
    (classes, disagree, agree), w = two.outcomes(game())
    source, target = (np.asarray(two.BATCH[f"images/{d}"]) @ w["trunk"] for d in "ab")
    labels = np.asarray(two.BATCH["labels/a"])
    p = [two.softmax(target @ w[f"heads/class/{i}"]) for i in (1, 2)]
    apart = np.abs(p[0] - p[1]).mean()
    for i in (1, 2):
        chosen = two.softmax(source @ w[f"heads/class/{i}"])[np.arange(6), labels]
        for outcome in (classes, disagree):
            found = two.value(outcome.losses[f"class/{i}"])
            np.testing.assert_allclose(found, -np.log(chosen).mean(), rtol=1e-5)
    for outcome in (disagree, agree):
        np.testing.assert_allclose(two.value(outcome.losses["discrepancy"]), apart, rtol=1e-5)
    assert not np.array_equal(w["heads/class/1"], w["heads/class/2"])
    assert set(classes.metrics) == {"class/1_accuracy", "class/2_accuracy"}


def test_prediction_is_the_sum_of_both_heads():
    played = game()
    variables = starting(played.init(two.KEY, two.BATCH))
    images = two.BATCH["images/b"]
    said = {n: f(variables, images, two.CONTEXT) for n, f in played.predict.items()}
    np.testing.assert_allclose(said["class"], said["class/1"] + said["class/2"], rtol=1e-6)


@pytest.mark.parametrize(
    ("number", "groups"), [(1, {"heads/class/1", "heads/class/2"}), (2, {"trunk"})]
)
def test_a_turn_moves_nothing_else(number, groups):
    assert two.moved(game(repeats=1), number, two.BATCH) == groups


def test_unlike_images_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(4,\) and \(3,\): resize them to one"):
        game().init(two.KEY, {**two.BATCH, "images/b": jnp.ones((6, 3))})
