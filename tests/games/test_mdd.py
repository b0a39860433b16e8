"""MDD: its table, the disparity by hand, what passes a gradient, bad input."""

import jax
import numpy as np
import optax
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games
from gan_mtl.types import starting


def game(**options):
    tasks, sgd = (two.CLASS,), optax.sgd(0.1)
    return games.mdd(linear(3), tasks, linear(3), sgd, domains=two.DOMAINS, **options)


def test_its_table():
    header, lines = two.rows(game())
    assert header == ["turn", "objective", "trunk", "heads/class", "adversary"]
    assert lines == [
        ["model", "class", "1", "1", "."],
        ["model", "disparity", "-0.1", ".", "1"],
    ]


def test_gamma_times_the_source_s_part_and_the_target_s():
    data = two.batch(6, 4)
    (found,), w = two.outcomes(game(gamma=3.0), data)
    total = 0.0
    for domain, log in (("a", lambda p: 3 * np.log(p)), ("b", lambda p: np.log(1 - p))):
        hidden = np.asarray(data[f"images/{domain}"]) @ w["trunk"]
        predicted = (hidden @ w["heads/class"]).argmax(axis=1)
        chosen = two.softmax(hidden @ w["adversary"])[np.arange(len(hidden)), predicted]
        total -= log(chosen).mean()
    np.testing.assert_allclose(two.value(found.losses["disparity"]), total, rtol=1e-4)


def test_the_main_head_gets_no_gradient_of_the_disparity():
    played = game()
    groups = played.init(two.KEY, two.BATCH)

    def total(head):
        variables = starting({**groups, "heads/class": {"params": head}})
        found = played.turns[0].losses(variables, two.BATCH, two.CONTEXT)
        return found.losses["disparity"].values.sum()

    assert not jax.grad(total)(groups["heads/class"]["params"])["w"].any()
    with pytest.raises(ValueError, match=r"gamma=0: the margin is log\(gamma\)"):
        game(gamma=0)
