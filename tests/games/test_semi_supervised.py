"""The semi-supervised game: Salimans' formulas on the class logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo

from gan_mtl import audit, draws, nets
from gan_mtl.games import Players, Weights, class_task, rotation_task, semi_supervised
from gan_mtl.types import Context, Network, starting

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))


def linear(out, seen=None, shape=()):
    """One matrix and nothing else; `seen` keeps the inputs."""

    def init(key, *inputs):
        width = sum(x[0].size for x in inputs)
        return {"params": {"w": jax.random.normal(key, (width, out)) / width**0.5}}

    def apply(variables, *inputs, context):
        if seen is not None:
            seen.append(inputs)
        x = jnp.concatenate([x.reshape(len(x), -1) for x in inputs], axis=1)
        return (x @ variables["params"]["w"]).reshape(len(x), *(shape or (out,))), {}

    return Network(init, apply)


def game_of(seen=None, tasks=(), **weights):
    players = Players(gen=linear(16, seen, (4, 4, 1)), trunk=linear(5))
    return semi_supervised(
        players,
        linear(zoo.CLASSES),
        zoo.LATENTS,
        zoo.adam(),
        num_classes=zoo.CLASSES,
        tasks=tasks,
        weights=Weights(**weights),
    )


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_every_row_from_raw_numbers():
    """K logits and a fake one fixed at 0, in float64 from the weights alone."""
    seen, batch = [], zoo.batch()
    game = game_of(
        seen,
        (rotation_task(linear(4), fake_weight=0.2),),
        entropy=0.1,
        generator=0.1,
        conditional=0.5,
    )
    start = starting(game.init(KEY, batch))
    w = {group: np.asarray(p["w"], np.float64) for group, p in start.params.items()}
    head = w["heads/class"]
    seen.clear()
    disc, gen = (turn.losses(start, batch, CONTEXT).losses for turn in game.turns)

    def see(images):
        return np.asarray(images, np.float64).reshape(len(images), -1) @ w["trunk"]

    def logsumexp(hidden):
        return np.log(np.exp(hidden @ head).sum(axis=1))

    for z, condition in seen:  # both passes are at the same context, so on the same draws
        np.testing.assert_array_equal(z, seen[0][0])
        np.testing.assert_array_equal(condition, seen[0][1])
    inputs = np.concatenate(seen[0], axis=1)
    wanted = inputs[:, -zoo.CLASSES :].argmax(axis=1)
    assert set(wanted) == {0, 1, 2}
    fakes = (inputs @ w["gen"]).reshape(8, 4, 4, 1)
    real, fake, labelled = see(batch["images"]), see(fakes), see(batch["labelled_images"])

    labels = np.asarray(batch["labelled_labels"])
    close(disc["class"].values, -log_softmax(labelled @ head)[np.arange(4), labels])
    against = np.logaddexp(0, -logsumexp(real)) + np.logaddexp(0, logsumexp(fake))
    close(disc["adversarial"].values, against)
    log_p = log_softmax(real @ head)
    close(disc["entropy"].values, -(np.exp(log_p) * log_p).sum(axis=1))

    distance = real.mean(axis=0) - fake.mean(axis=0)
    close(gen["feature_matching"].values, (distance**2).mean())
    close(gen["adversarial"].values, np.logaddexp(0, -logsumexp(fake)))
    close(gen["class"].values, -log_softmax(fake @ head)[np.arange(8), wanted])
    k = np.asarray(draws.integers(8, 4, CONTEXT.fold("rotation").fold("rotation")))
    assert len(set(k)) > 1
    for images, rows in ((batch["images"], disc), (fakes, gen)):
        turned = np.stack([np.rot90(x, i) for x, i in zip(images, k, strict=True)])
        expected = -log_softmax(see(turned) @ w["heads/rotation"])[np.arange(8), k]
        close(rows["rotation"].values, expected)


def test_a_fake_weight_is_a_row_of_the_generator_s_turn():
    game = game_of(tasks=(rotation_task(linear(4), weight=0.5, fake_weight=0.2),))
    assert dict(game.turns[0].objectives["rotation"].entries) == {
        "trunk": 0.5,
        "heads/rotation": 0.5,
    }
    assert dict(game.turns[1].objectives["rotation"].entries) == {"gen": 0.2}
    norms = jax.jit(audit.raw_gradient_norms(game))
    audit.check_alive([norms(jax.random.key(i), zoo.batch()) for i in range(3)])
    assert "rotation" not in game_of(tasks=(rotation_task(linear(4)),)).turns[1].objectives


def test_a_fake_weight_without_a_class_that_was_asked_for_is_refused_by_name():
    task = class_task(linear(zoo.CLASSES), name="again", fake_weight=1.0)
    with pytest.raises(ValueError, match=r"'again' has a fake_weight.*set weights\.conditional"):
        game_of(tasks=(task,))
    assert "again" in game_of(tasks=(task,), conditional=1.0).turns[1].objectives


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
