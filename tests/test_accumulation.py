"""What gradient accumulation would change silently is refused by name; the rest is let through."""

import architectures
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
import zoo
from marks import slow

from gan_mtl import draws, nets
from gan_mtl.games import Optimizers, Penalty, Players, class_task, gan, semi_supervised
from gan_mtl.losses import (
    AdversarialLoss,
    dragan,
    gradient_penalty,
    non_saturating,
    r1,
    relativistic_average,
)
from gan_mtl.types import Game, Loss, Objective, Outcome, Turn, Weighting
from gan_mtl.update import alternating

KEY = jax.random.key(0)
SGD = Optimizers(optax.sgd(0.1), optax.sgd(0.1))
LABELS = np.array([0, 1, -1, 2, -1, -1, 1, 0], np.int32)
BATCH = {
    "images": jax.random.normal(KEY, (8, 8, 8, 1)),
    "labels": LABELS,
    "labelled_images": jax.random.normal(jax.random.key(1), (4, 8, 8, 1)),
    "labelled_labels": LABELS[:4],
}


def players(trunk=None, disc=True):
    return Players(
        gen=zoo.linen(nets.MLPGenerator((6,), (8, 8, 1))),
        trunk=zoo.linen(trunk or nets.MLPTrunk((6,))),
        disc=zoo.linen(nets.Head()) if disc else None,
    )


def game(trunk=None, **options):
    return gan(players(trunk), zoo.LATENTS, SGD, **options)


def averaged(real_logits, fake_logits, *, axis_name):
    del axis_name
    return non_saturating.disc(real_logits - fake_logits.mean(), fake_logits)


STATISTICS = {  # what is refused: a game with it
    "relativistic_average": lambda: game(adversarial=relativistic_average()),
    "adversarial": lambda: game(adversarial=AdversarialLoss(averaged, averaged, True)),
    "dragan": lambda: game(
        penalties=(Penalty("around", lambda f, real, fake, c: dragan(f, real, c), 10.0),)
    ),
    "minibatch_stddev": lambda: game(nets.DCGANTrunk(8, 4, minibatch_std=True, group_size=2)),
    "feature_matching": lambda: semi_supervised(
        players(disc=False), zoo.linen(nets.Head(3)), zoo.LATENTS, SGD, num_classes=3
    ),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_batch_statistics_are_refused_by_name(name):
    updater = alternating(STATISTICS[name](), accumulate=2)
    state = jax.eval_shape(updater.init, KEY, BATCH)
    with pytest.raises(ValueError, match=rf"'{name}'.*of turn '(disc|gen)'.*accumulate=1"):
        jax.eval_shape(updater.update, KEY, state, BATCH)
    whole = alternating(STATISTICS[name]())
    jax.eval_shape(whole.update, KEY, state, BATCH)


def test_a_lazy_statistic_is_refused_too():
    penalty = Penalty("around", lambda f, real, fake, c: dragan(f, real, c), 10.0, every=4)
    updater = alternating(game(penalties=(penalty,)), accumulate=2)
    state = jax.eval_shape(updater.init, KEY, BATCH)
    with pytest.raises(ValueError, match="'dragan'"):
        jax.eval_shape(lambda *a: updater.update(*a, due=(False,)), KEY, state, BATCH)


@pytest.mark.slow
def test_what_looks_at_examples_one_by_one_gives_the_whole_batch_s_step():
    """Penalties, masks, a minibatch layer that is switched off: refused by no mistake."""
    trunk = nets.DCGANTrunk(8, 4, group_size=4, norm="spectral", kernel_init=nets.lecun)
    penalties = (
        Penalty("gp", gradient_penalty, 1.0),
        Penalty("r1", lambda f, real, fake, c: r1(f, real), 0.1),
    )
    head = class_task(zoo.linen(nets.Head(3)), labelled=False)
    played = game(trunk, penalties=penalties, tasks=(head,))
    with jax.enable_x64(True):
        batch = {k: np.asarray(v, np.float64) if v.ndim == 4 else v for k, v in BATCH.items()}
        whole, parts = alternating(played), alternating(played, accumulate=4)
        state = jax.jit(whole.init)(KEY, batch)
        expected, found = (jax.jit(u.update)(KEY, state, batch) for u in (whole, parts))
        for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["l2_tie", *slow("trace_norm_tie", "transfer")])
def test_penalties_on_parameters_alone_give_the_whole_batch_s_step(name):
    """Scalars, but of no batch: every slice holds the same one, and so does their mean."""
    with jax.enable_x64(True):
        batch = architectures.batch(dtype=jnp.float64)
        whole, parts = (alternating(architectures.game(name), accumulate=n) for n in (1, 2))
        state = jax.tree.map(
            lambda x: x.astype(float) if x.dtype == jnp.float32 else x,
            jax.jit(whole.init)(KEY, batch),
        )
        group = "trunk" if name == "transfer" else "trunk/a"
        state.params[group] = jax.tree.map(lambda x: 1.1 * x, state.params[group])
        expected, found = (
            jax.device_get(jax.jit(u.update)(KEY, state, batch)) for u in (whole, parts)
        )
    penalty = "model/l2_sp" if name == "transfer" else "model/tie"
    assert found[1][penalty] > 0
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


SCALARS = {  # by whether a slice of the batch sees another value
    "decay": (False, lambda w, x, context: jnp.square(w).sum()),
    "inside a function": (False, lambda w, x, context: jax.jit(jnp.linalg.norm)(w)),
    "by the step": (False, lambda w, x, context: w.sum() * context.step),
    "constant": (False, lambda w, x, context: jnp.ones(())),
    "moment": (True, lambda w, x, context: jnp.square((x @ w).mean())),
    "count": (True, lambda w, x, context: w.sum() * (x > 0).sum()),
    "within": (True, lambda w, x, context: jax.jit(lambda a, b: (a @ b).sum())(x, w)),
    "generated": (True, lambda w, x, context: (draws.normal(len(x), w.shape, context) @ w).max()),
    "numbered": (True, lambda w, x, context: w.sum() * context.index(len(x)).max()),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_a_batch_statistic_if_a_slice_sees_another_one(name):
    refused, scalar = SCALARS[name]

    def losses(variables, batch, context):
        w = variables.params["net"]["w"]
        fit = Loss(jnp.square(batch["x"] @ w - 1))
        return Outcome({"fit": fit, name: Loss(scalar(w, batch["x"], context))}, variables)

    def init(key, batch):
        return {"net": {"params": {"w": jnp.ones(batch["x"].shape[1])}}}

    rows = {"fit": Objective({"net": 1.0}), name: Objective({"net": 0.1}, penalty=True)}
    played = Game(init, (Turn("model", losses, rows, optax.sgd(0.1)),))
    batch = {"x": jax.random.normal(KEY, (8, 3))}
    whole, parts = alternating(played), alternating(played, accumulate=2)
    state = jax.jit(whole.init)(KEY, batch)
    if refused:
        with pytest.raises(ValueError, match=rf"batch statistics \['{name}'\] of turn 'model'"):
            jax.eval_shape(parts.update, KEY, state, batch)
        return
    expected, found = (jax.jit(u.update)(KEY, state, batch) for u in (whole, parts))
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_batch_statistic_beside_parameter_penalties_is_refused_by_name():
    updater = alternating(architectures.game("shared_private"), accumulate=2)
    batch = architectures.batch()
    state = jax.eval_shape(updater.init, KEY, batch)
    with pytest.raises(ValueError, match=r"'orthogonality/a', 'orthogonality/b'.*accumulate=1"):
        jax.eval_shape(updater.update, KEY, state, batch)


@pytest.mark.parametrize("weighting", [None, "rows"])
def test_accumulation_gives_the_gradient_of_the_whole_batch(weighting):
    game = toys.linear_game()
    if weighting:
        halves = Weighting(
            lambda n: (), lambda k, losses, g, s: (0.5 * jnp.ones_like(losses), s), True
        )
        game = game._replace(turns=(game.turns[0]._replace(weighting=halves),))
    batch = toys.batch(24)
    whole, parts = alternating(game), alternating(game, accumulate=4)
    state = jax.jit(whole.init)(KEY, batch)
    a, seen_a = jax.jit(whole.update)(KEY, state, batch)
    b, seen_b = jax.jit(parts.update)(KEY, state, batch)
    toys.assert_agree((a.params, seen_a), (b.params, seen_b), 1e-6)


def test_accumulation_refuses_batch_statistics_by_name():
    batch = toys.batch(16)
    updater = alternating(toys.game(), accumulate=2)
    state = jax.jit(updater.init)(KEY, batch)
    with pytest.raises(ValueError, match="trunk"):
        updater.update(KEY, state, batch)
    game = toys.linear_game()

    def statistic(variables, batch, context):
        outcome = game.turns[0].losses(variables, batch, context)
        moment = Loss(outcome.losses["logits"].values.mean() ** 2)
        return outcome._replace(losses={**outcome.losses, "logits": moment})

    updater = alternating(
        game._replace(turns=(game.turns[0]._replace(losses=statistic),)), accumulate=2
    )
    state = jax.jit(updater.init)(KEY, batch)
    with pytest.raises(ValueError, match="logits"):
        updater.update(KEY, state, batch)
