"""WDGRL: its table, the critic's distance and penalty by hand, who moves, bad input."""

import numpy as np
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games, nets


def game(critic=None, **options):
    critic = critic or linear(None)
    return games.wdgrl(linear(3), (two.CLASS,), critic, two.SGD, domains=two.DOMAINS, **options)


def test_its_table():
    header, lines = two.rows(game(weight=0.5))
    assert header == ["turn", "objective", "critic", "trunk", "heads/class"]
    assert lines == [
        ["critic", "x5", "wasserstein", "-1", ".", "."],
        ["critic", "x5", "gradient_penalty", "10", ".", "."],
        ["model", "class", ".", "1", "1"],
        ["model", "wasserstein", ".", "0.5", "."],
    ]


def test_the_distance_and_the_penalty_of_a_linear_critic():
    (critic, model), w = two.outcomes(game())
    source, target = (np.asarray(two.BATCH[f"images/{d}"]) @ w["trunk"] for d in "ab")
    distance = (source.mean(axis=0) - target.mean(axis=0)) @ w["critic"][:, 0]
    for outcome in (critic, model):
        np.testing.assert_allclose(two.value(outcome.losses["wasserstein"]), distance, rtol=1e-4)
    penalty = (np.linalg.norm(w["critic"]) - 1) ** 2
    np.testing.assert_allclose(critic.losses["gradient_penalty"].values, penalty, rtol=1e-4)


@pytest.mark.parametrize(("number", "groups"), [(0, {"critic"}), (1, {"trunk", "heads/class"})])
def test_a_turn_moves_nothing_else(number, groups):
    assert two.moved(game(critic_repeats=1), number, two.BATCH) == groups


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"examples in pairs needs as many.*got 6 of 'a' and 4"):
        game().init(two.KEY, two.batch(6, 4))
    normed = nets.from_linen(nets.MLPGenerator((3,), (), output="none", batch_norm=True))
    with pytest.raises(ValueError, match=r"BatchNorm in the groups \['critic'\]"):
        game(normed).init(two.KEY, two.BATCH)
