"""sum_i alpha_i V_i: rows from raw numbers, what alpha does, every method in both turns."""

import chex
import jax
import jax.numpy as jnp
import methods
import numpy as np
import optax
import pytest
import zoo
from linear import linear
from marks import slow

from gan_mtl import losses, metrics
from gan_mtl.games import (
    Adversary,
    MultiPlayers,
    Optimizers,
    Penalty,
    class_task,
    multi_adversarial,
    rotation_task,
)
from gan_mtl.losses import hinge, relativistic_average
from gan_mtl.types import Context, Network, Objective
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(0)
SOME = ("equal", "modo", "pcgrad", "uncertainty")
SGD = Optimizers(optax.sgd(0.1), optax.sgd(0.1))


def players(**others):
    options = {"gen": linear(6), "disc": linear(None), "trunk": linear(5)}
    return MultiPlayers(**{**options, "gen_head": linear(16, shape=(4, 4, 1)), **others})


def batch(n=6, m=4, dtype=np.float64):
    rng = np.random.default_rng(1)
    return {
        "images/a": rng.normal(size=(n, 4, 4, 1)).astype(dtype),
        "images/b": rng.normal(size=(m, 4, 4, 1)).astype(dtype) + 1,
        "labels/a": np.arange(n, dtype=np.int32) % 3,
    }


PAIR = (Adversary("a", 0.7, "images/a"), Adversary("b", 0.3, "images/b"))


def build(adversaries=PAIR, **options):
    options = {"players": players(), "optimizers": SGD, **options}
    return multi_adversarial(
        options.pop("players"), adversaries, zoo.LATENTS, options.pop("optimizers"), **options
    )


def stepped(game, data=None, key=KEY):
    data = batch() if data is None else data
    updater = alternating(game)
    state = updater.init(KEY, data)
    return state, *updater.update(key, state, data)


def softplus(x):
    return np.logaddexp(0, x)


def test_the_values_are_alpha_free_and_the_gradients_are_alpha_times_the_game_s():
    with jax.enable_x64():
        game = build(adversarial=losses.non_saturating)
        state, after, found = stepped(game)
        context = Context(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), state.step)
        w = {g: np.asarray(p["w"]) for g, p in state.params.items()}
        expected, grads = {}, {}
        for adversary in PAIR:
            name, real = adversary.name, batch()[adversary.source]
            tag = context.fold("generate").fold(name).fold("latents")
            z = np.asarray(zoo.LATENTS.draw(len(real), tag), np.float64)
            fake = z @ w["gen"] @ w[f"gen/{name}"]
            features = [x.reshape(len(x), -1) @ w["trunk"] for x in (real, fake)]
            logits = [(f @ w[f"disc/{name}"])[:, 0] for f in features]
            expected[name] = softplus(-logits[0]).mean() + softplus(logits[1]).mean()
            slopes = (-1 / (1 + np.exp(logits[0])), 1 / (1 + np.exp(-logits[1])))
            pulled = sum((s[:, None] * f).mean(0) for s, f in zip(slopes, features, strict=True))
            grads[name] = adversary.alpha * pulled
        for name, value in expected.items():
            np.testing.assert_allclose(found[f"disc/{name}"], value, rtol=1e-12)
            moved = (w[f"disc/{name}"] - np.asarray(after.params[f"disc/{name}"]["w"]))[:, 0]
            np.testing.assert_allclose(moved, 0.1 * grads[name], rtol=1e-9, atol=1e-14)


def test_with_one_discriminator_for_all_alpha_only_scales_the_loss():
    one_image = players(gen=linear(16, shape=(4, 4, 1)), gen_head=None)
    same = (Adversary("a", 0.7, "images/a"), Adversary("b", 0.5, "images/a", asks="a"))
    with jax.enable_x64():
        _, both, found = stepped(build(same, players=one_image, penalties=()))
        alone = (Adversary("a", 1.2, "images/a"),)
        _, single, value = stepped(build(alone, players=one_image))
        np.testing.assert_allclose(found["disc/a"], found["disc/b"], rtol=1e-12)
        np.testing.assert_allclose(found["gen/a"], value["gen/a"], rtol=1e-12)
        chex.assert_trees_all_close(both.params, single.params, rtol=1e-12)


def test_with_discriminators_of_their_own_alpha_matters():
    with jax.enable_x64():
        _, one, _ = stepped(build())
        _, other, _ = stepped(build((PAIR[0]._replace(alpha=0.3), PAIR[1]._replace(alpha=0.7))))
    assert not np.allclose(one.params["trunk"]["w"], other.params["trunk"]["w"], rtol=1e-3)


def test_a_task_s_data_do_not_reach_the_heads_of_another():
    other = {**batch(), "images/b": batch()["images/b"] * 2}
    with jax.enable_x64():
        _, one, _ = stepped(build())
        _, two, _ = stepped(build(), other)
    for group in ("disc/a",):
        np.testing.assert_array_equal(one.params[group]["w"], two.params[group]["w"])
    assert not np.allclose(one.params["disc/b"]["w"], two.params["disc/b"]["w"])
    assert not np.allclose(one.params["trunk"]["w"], two.params["trunk"]["w"])


def test_separate_gans_are_those_that_train_alone():
    with jax.enable_x64():
        start, both, _ = stepped(build(share="none"))
        alone = build((PAIR[0],), share="none")
        _, single, _ = alternating(alone).init(KEY, batch()), *_continued(alone, start)
        for group in ("trunk/a", "gen/trunk/a", "disc/a", "gen/a"):
            np.testing.assert_allclose(both.params[group]["w"], single.params[group]["w"])


def _continued(game, start):
    """One step of a game of fewer groups, from their part of another's state."""
    updater = alternating(game)
    state = updater.init(KEY, batch())
    state = state._replace(params={g: start.params[g] for g in state.params})
    return updater.update(KEY, state, batch())


@pytest.mark.parametrize(
    ("share", "groups"),
    [
        ("both", {"trunk", "gen"}),
        ("disc", {"trunk", "gen/trunk/a", "gen/trunk/b"}),
        ("gen", {"trunk/a", "trunk/b", "gen"}),
        ("none", {"trunk/a", "trunk/b", "gen/trunk/a", "gen/trunk/b"}),
    ],
)
def test_what_is_shared_is_a_group_of_all(share, groups):
    state = alternating(build(share=share)).init(KEY, batch(dtype=np.float32))
    heads = {"gen/a", "gen/b", "disc/a", "disc/b"}
    assert set(state.params) == groups | heads


def test_the_relation_row_pulls_as_zhang_and_yeung_s_penalty_at_its_best_omega():
    game = build(relation=0.25)
    with jax.enable_x64():
        data = batch()
        updater = alternating(game)
        state = updater.init(KEY, data)
        context = Context(KEY, state.step)

        def row(heads):
            variables = variables_of(state)
            variables = variables._replace(params={**variables.params, **heads})
            return game.turns[0].losses(variables, data, context).losses["relation"].values

        def paper(heads):
            w = jnp.stack([heads[f"disc/{n}"]["w"].ravel() for n in "ab"], axis=1)
            omega = jax.lax.stop_gradient(metrics.task_covariance(w))
            return losses.relation_penalty(w, omega, ridge=1e-12)

        heads = {g: state.params[g] for g in ("disc/a", "disc/b")}
        np.testing.assert_allclose(row(heads), paper(heads), rtol=1e-9)
        ours, theirs = jax.grad(row)(heads), jax.grad(paper)(heads)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-8), ours, theirs)
    assert game.turns[0].objectives["relation"] == Objective(
        {"disc/a": 0.25, "disc/b": 0.25}, penalty=True
    )


def test_reconstruction_is_the_mean_square_through_encoder_and_generator():
    encoder = linear(zoo.LATENTS.dim)
    with jax.enable_x64():
        game = build(players=players(encoder=encoder), reconstruction=2.0)
        state, after, found = stepped(game)
        w = {g: np.asarray(p["w"]) for g, p in state.params.items()}
        x = batch()["images/a"].reshape(6, -1)
        made = x @ w["enc"] @ w["gen"] @ w["gen/a"]
        np.testing.assert_allclose(
            found["gen/reconstruction/a"], np.square(made - x).mean(), rtol=1e-12
        )
    assert not np.allclose(w["enc"], after.params["enc"]["w"])


def test_fakes_are_other_ones_in_each_turn_and_for_each_adversary():
    seen = []

    def noted(variables, z, *, context):
        seen.append(z)
        return z @ variables["params"]["w"], {}

    gen = linear(6)
    game = build(players=players(gen=Network(gen.init, noted)))
    state = alternating(game).init(KEY, batch(dtype=np.float32))
    seen.clear()
    for number, turn in enumerate(game.turns):
        context = Context(jax.random.fold_in(KEY, number), state.step)
        turn.losses(variables_of(state), batch(dtype=np.float32), context)
    assert [len(z) for z in seen] == [6, 4, 6, 4]
    assert len({np.asarray(z[:4]).tobytes() for z in seen}) == 4


def test_samples_are_of_the_adversary_that_is_asked_for():
    game = build()
    state = alternating(game).init(KEY, batch(dtype=np.float32))
    context = Context(KEY, state.step, train=False)
    variables = variables_of(state)
    assert game.sample is not None
    mixed = game.sample(variables, 4, jnp.array([0, 1, 1, 0]), context)
    for kind in (0, 1):
        every = game.sample(variables, 4, jnp.full(4, kind), context)
        rows = np.flatnonzero(np.array([0, 1, 1, 0]) == kind)
        np.testing.assert_array_equal(mixed[rows], every[rows])
    assert game.classes == 2


THREE = (*PAIR, Adversary("c", 1.0, "images/a"))


@pytest.mark.parametrize("name", [*SOME, *slow(*sorted(set(methods.FACTORIES) - set(SOME)))])
def test_every_method_works_in_both_turns_or_refuses_by_name(name):
    """On adversarial rows in the discriminators' turn; in the generator's beside reconstruction."""
    made = methods.make(name, 3), methods.make(name, 6)
    options = {
        "players": players(encoder=linear(zoo.LATENTS.dim)),
        "reconstruction": 0.5,
        "adversarial": hinge,
    }
    if made[0].positive:
        for weightings in ((made[0], None), (None, made[1])):
            with pytest.raises(ValueError, match="'a'"):
                alternating(build(THREE, weightings=weightings, **options))
        return
    count = getattr(made[0], "num_batches", 1)
    data = batch(6 * count, 4 * count, np.float32)
    updater = alternating(build(THREE, weightings=made, **options))
    state = updater.init(KEY, data)
    after, found = jax.jit(updater.update)(KEY, state, data)
    for group in ("trunk", "gen", "enc"):
        moved = jax.tree.leaves(after.params[group])[0]
        assert np.isfinite(moved).all()
        assert not np.array_equal(jax.tree.leaves(state.params[group])[0], moved)
    weights = {k for k in found if "/weight/" in k}
    assert {"disc/weight/a", "gen/weight/b", "gen/weight/reconstruction/c"} <= weights


def bad(**options):
    return lambda: build(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad(adversaries=()), "distinct adversaries"),
        (bad(adversaries=(PAIR[0], PAIR[0])), "distinct adversaries"),
        (bad(share="half"), "share='half'"),
        (bad(adversarial=relativistic_average()), "relativistic average"),
        (bad(reconstruction=1.0), "players.encoder"),
        (bad(players=players(encoder=linear(4))), "trained by nothing"),
        (bad(adversaries=PAIR[:1], relation=1.0), "two discriminators"),
        (bad(adversaries=(PAIR[0]._replace(asks="c"),)), "asks the discriminator of 'c'"),
        (
            bad(adversaries=(PAIR[0]._replace(asks="b"), PAIR[1]._replace(asks="a"))),
            "with one of their own are \\[\\]",
        ),
        (bad(tasks=(class_task(linear(3), labelled=False),)), "'images', which no adversary"),
        (
            bad(players=players(trunk=None), tasks=(rotation_task(linear(4), source="images/a"),)),
            "give players.trunk",
        ),
        (
            bad(
                tasks=(
                    class_task(linear(3), labelled=False)._replace(
                        source="images/a", targets="labels/a", fake_weight=1.0
                    ),
                )
            ),
            "fake_weight",
        ),
    ],
)
def test_what_does_not_go_together_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({}, {"images/a": np.zeros((4, 4, 4, 1))}, "'b' takes its images from 'images/b'"),
        (
            {"players": players(gen_head=linear(9, shape=(3, 3, 1)))},
            batch(dtype=np.float32),
            "makes images of",
        ),
        (
            {"players": players(gen=linear(16, shape=(4, 4, 1)), gen_head=None)},
            batch(),
            "have .* real images",
        ),
    ],
)
def test_what_the_batch_does_not_allow_is_named(options, data, message):
    with pytest.raises(ValueError, match=message):
        alternating(build(**options)).init(KEY, data)


def test_batch_norm_under_a_penalty_is_refused():
    trunk = zoo.linen(zoo.nets.ConvTrunk((4, 4), norm="batch"))
    penalty = Penalty("r1", lambda f, real, fake, context: losses.r1(f, real), 1.0)
    game = build(players=players(trunk=trunk), penalties=(penalty,))
    with pytest.raises(ValueError, match="BatchNorm"):
        alternating(game).init(KEY, batch(dtype=np.float32))
