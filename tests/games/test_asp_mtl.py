"""Adversarial shared-private learning: table, the rows by hand, what is left out, bad input."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games, losses
from gan_mtl.games import Task


def task(name, **options):
    return Task(name, linear(3), source=f"images/{name}", targets=f"labels/{name}", **options)


TASKS = (task("a"), task("b"))


def game(tasks=TASKS, judge=2, **options):
    return games.asp_mtl(linear(3), linear(2), tasks, linear(judge), optax.sgd(0.1), **options)


def batch(n=6, m=4):
    return {**two.batch(n, m), "labels/b": jnp.asarray([0, -1, 2, 1])[:m]}


def test_its_table():
    header, lines = two.rows(game())
    assert header == [
        *("turn", "objective", "trunk", "trunk/a", "heads/a", "trunk/b", "heads/b", "task"),
    ]
    assert lines == [
        ["model", "a", "1", "1", "1", ".", ".", "."],
        ["model", "b", "1", ".", ".", "1", "1", "."],
        ["model", "difference", "0.01", "0.01", ".", "0.01", ".", "."],
        ["model", "task", "-0.05", ".", ".", ".", ".", "1"],
    ]
    assert "difference" not in [line[1] for line in two.rows(game(gamma=0))[1]]


@pytest.mark.parametrize("normalise", [True, False])
def test_the_rows_by_hand(normalise):
    data = batch()
    (found,), w = two.outcomes(game(normalise=normalise), data)
    difference = judged = right = 0.0
    for k, name in enumerate("ab"):
        images, labels = (np.asarray(data[f"{x}/{name}"]) for x in ("images", "labels"))
        shared, own = images @ w["trunk"], images @ w[f"trunk/{name}"]
        p = two.softmax(np.concatenate([shared, own], axis=1) @ w[f"heads/{name}"])
        seen = labels >= 0
        wanted = -np.log(p[seen, labels[seen]]).mean()
        np.testing.assert_allclose(two.value(found.losses[name]), wanted, rtol=1e-4)
        if normalise:
            difference += float(losses.orthogonality(jnp.asarray(shared), jnp.asarray(own)))
        else:
            difference += ((shared.T @ own) ** 2).sum()
        said = two.softmax(shared @ w["task"])
        judged += -np.log(said[:, k]).mean()
        right += (said.argmax(axis=1) == k).mean() / 2
    np.testing.assert_allclose(two.value(found.losses["difference"]), difference, rtol=1e-4)
    np.testing.assert_allclose(two.value(found.losses["task"]), judged, rtol=1e-4)
    np.testing.assert_allclose(two.value(found.metrics["task_accuracy"]), right, rtol=1e-5)


def test_shared_features_are_asked_for_apart_from_private_ones():
    played, data = game(), batch()
    groups = played.init(two.KEY, data)
    variables, images = two.starting(groups), data["images/b"]
    for name, group in (("features", "trunk"), ("private/b", "trunk/b")):
        wanted = np.asarray(images) @ np.asarray(groups[group]["params"]["w"])
        found = played.predict[name](variables, images, two.CONTEXT)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert played.predict["b"](variables, images, two.CONTEXT).shape == (4, 3)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"look at \['images/a'\]; give two or more"):
        game(TASKS[:1])
    with pytest.raises(ValueError, match=r"task 'b' changes its images"):
        game((TASKS[0], task("b", augment=lambda x, c: x)))
    with pytest.raises(ValueError, match=r"judge gives shape \(3,\).*each of the 2 tasks"):
        game(judge=3).init(two.KEY, batch())
    with pytest.raises(ValueError, match="strength of the reversal"):
        game(lam=-0.1)
