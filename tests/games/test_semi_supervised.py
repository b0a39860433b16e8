"""The semi-supervised game: Salimans' formulas on the class logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo

from gan_mtl import nets
from gan_mtl.games import Weights, semi_supervised
from gan_mtl.types import Context, starting

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))


def test_the_discriminator_s_loss_is_the_one_of_k_logits_and_a_zero():
    game, batch = zoo.game("semi"), zoo.batch()
    found = game.turns[0].losses(starting(game.init(KEY, batch)), batch, CONTEXT)
    z_real = np.asarray(found.metrics["real_logits"].values, np.float64)
    z_fake = np.asarray(found.metrics["fake_logits"].values, np.float64)
    expected = -np.log(1 / (1 + np.exp(-z_real))) - np.log(1 - 1 / (1 + np.exp(-z_fake)))
    np.testing.assert_allclose(found.losses["adversarial"].values, expected, rtol=1e-5)
    assert found.losses["class"].values.shape == (4,)  # of the labelled batch


def test_feature_matching_is_a_batch_statistic_that_moves_the_generator_only():
    game, batch = zoo.game("semi"), zoo.batch()
    found = game.turns[1].losses(starting(game.init(KEY, batch)), batch, CONTEXT)
    assert found.losses["feature_matching"].values.shape == ()
    assert dict(game.turns[1].objectives["feature_matching"].entries) == {"gen": 1.0}


def test_hidden_labels_cannot_change_anything():
    """The images' own labels are not read, whatever the batch holds."""
    game = zoo.game("semi_rotation")
    batch = zoo.batch()
    other = {**batch, "labels": (batch["labels"] + 1) % zoo.CLASSES}
    variables = starting(game.init(KEY, batch))
    for turn in game.turns:
        a, b = (turn.losses(variables, x, CONTEXT).losses for x in (batch, other))
        for name in turn.objectives:
            np.testing.assert_array_equal(a[name].values, b[name].values)


def test_rows_of_weight_zero_are_left_out():
    rows = zoo.game("semi").turns[0].objectives
    assert set(rows) == {"class", "adversarial"}
    assert set(zoo.game("semi_rotation").turns[0].objectives) == {
        "class",
        "adversarial",
        "entropy",
        "rotation",
    }
    head = zoo.linen(nets.Head(3))
    with pytest.raises(ValueError, match="no row"):
        semi_supervised(
            zoo.players(disc=None),
            head,
            zoo.LATENTS,
            zoo.adam(),
            num_classes=3,
            weights=Weights(feature_matching=0.0),
        )
    with pytest.raises(ValueError, match=r"players\.disc"):
        semi_supervised(zoo.players(), head, zoo.LATENTS, zoo.adam(), num_classes=3)
