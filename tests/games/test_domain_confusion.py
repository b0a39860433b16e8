"""Domain confusion: its table, both losses by hand, who moves."""

import numpy as np
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games


def game():
    return games.domain_confusion(
        linear(3), (two.CLASS,), linear(None), two.SGD, domains=two.DOMAINS, weight=0.5
    )


def test_its_table():
    header, lines = two.rows(game())
    assert header == ["turn", "objective", "domain", "trunk", "heads/class"]
    assert lines == [
        ["domain", "domain", "1", ".", "."],
        ["model", "class", ".", "1", "1"],
        ["model", "confusion", ".", "0.5", "."],
    ]


def test_both_losses_over_unequal_domains():
    data = two.batch(6, 4)
    (domain, model), w = two.outcomes(game(), data)
    s, t = (np.asarray(data[f"images/{d}"]) @ w["trunk"] @ w["domain"][:, 0] for d in "ab")
    told = two.softplus(-s).mean() + two.softplus(t).mean()
    confused = sum((two.softplus(-x) + two.softplus(x)).mean() / 2 for x in (s, t))
    np.testing.assert_allclose(two.value(domain.losses["domain"]), told, rtol=1e-4)
    np.testing.assert_allclose(two.value(model.losses["confusion"]), confused, rtol=1e-4)
    right = ((s > 0).mean() + (t < 0).mean()) / 2
    np.testing.assert_allclose(two.value(domain.metrics["domain_accuracy"]), right, rtol=1e-5)


@pytest.mark.parametrize(("number", "groups"), [(0, {"domain"}), (1, {"trunk", "heads/class"})])
def test_a_turn_moves_nothing_else(number, groups):
    assert two.moved(game(), number, two.BATCH) == groups
