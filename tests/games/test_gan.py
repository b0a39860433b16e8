"""The GAN family: losses as in the papers, tables that move what they say, bad calls named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo

from gan_mtl import nets, table
from gan_mtl.games import Players, gan
from gan_mtl.types import Context, Variables, starting
from gan_mtl.update import alternating

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))


def outcome(game, turn, batch=None):
    batch = batch or zoo.batch()
    variables = starting(game.init(KEY, batch))
    return variables, game.turns[turn].losses(variables, batch, CONTEXT)


def test_the_discriminator_s_loss_is_the_adversarial_one_of_its_logits():
    _, found = outcome(zoo.game("unconditional"), 0)
    real, fake = found.metrics["real_logits"].values, found.metrics["fake_logits"].values
    expected = np.logaddexp(0, -np.asarray(real)) + np.logaddexp(0, np.asarray(fake))
    np.testing.assert_allclose(found.losses["adversarial"].values, expected, rtol=1e-6)


def test_the_discriminator_s_turn_does_not_reach_the_generator():
    game, batch = zoo.game("ac_gan"), zoo.batch()
    start = starting(game.init(KEY, batch))

    def total(gen):
        variables = Variables({**start.params, "gen": gen}, start.state)
        losses = game.turns[0].losses(variables, batch, CONTEXT).losses
        return sum(loss.values.sum() for loss in losses.values())

    grads = jax.tree.leaves(jax.grad(total)(start.params["gen"]))
    assert all(float(jnp.abs(g).max()) == 0.0 for g in grads)


def test_ac_gan_classifies_reals_and_fakes_in_one_masked_mean():
    _, found = outcome(zoo.game("ac_gan"), 0)
    loss = found.losses["class"]
    assert loss.values.shape == loss.mask.shape == (16,)
    hidden = {**zoo.batch(), "labels": jnp.full((8,), -1)}
    _, masked = outcome(zoo.game("ac_gan"), 0, hidden)
    np.testing.assert_array_equal(masked.losses["class"].mask, [0.0] * 8 + [1.0] * 8)


def test_a_shared_block_is_one_group_in_two_roles_and_its_owner_moves_it():
    game, batch = zoo.game("shared_block"), zoo.batch()
    assert "shared@disc" in table.entries(game.turns[0])
    assert "shared@gen" not in table.entries(game.turns[1])
    gen_turn = game._replace(
        turns=game.turns[1:], frozen=("shared", "trunk", "disc", "heads/rotation")
    )
    updater = alternating(gen_turn)
    state = updater.init(KEY, batch)
    after, _ = jax.jit(updater.update)(KEY, state, batch)
    before, now = jax.tree.leaves(state.params["shared"]), jax.tree.leaves(after.params["shared"])
    assert all(np.array_equal(a, b) for a, b in zip(before, now, strict=True))


def test_the_generator_is_differentiated_through_its_own_use_of_a_shared_block_only():
    """With owner "gen" the discriminator's pass through the block must not add to its gradient."""
    options = dict(disc=zoo.linen(nets.Head()), middle=zoo.linen(nets.MLPTrunk((6,))))
    players = Players(
        gen=zoo.linen(nets.MLPTrunk((6,))),
        trunk=zoo.linen(nets.MLPTrunk((6,))),
        gen_out=zoo.linen(nets.MLPGenerator((), (4, 4, 1), output="tanh")),
        **options,
    )
    game, batch = gan(players, zoo.LATENTS, zoo.adam(), owner="gen"), zoo.batch()
    start = starting(game.init(KEY, batch))

    def total(at_gen, at_disc):
        params = {**start.params, "shared@gen": at_gen, "shared@disc": at_disc}
        found = game.turns[1].losses(Variables(params, start.state), batch, CONTEXT)
        return found.losses["adversarial"].values.mean()

    shared = start.params["shared"]
    through_gen = jax.grad(total, 0)(shared, shared)
    through_disc = jax.grad(total, 1)(shared, shared)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(through_disc)) > 0
    sgd = game.turns[1]._replace(optimizer=optax.sgd(1.0))
    updater = alternating(game._replace(turns=(sgd,), frozen=("trunk", "disc")))
    state = updater.init(KEY, batch)._replace(params=start.params, state=start.state)
    key = jax.random.key(9)
    after, _ = updater.update(key, state, batch)
    inner = Context(jax.random.fold_in(jax.random.fold_in(key, 0), 0), state.step)

    def oracle(at_gen):
        params = {**start.params, "shared@gen": at_gen, "shared@disc": shared}
        found = sgd.losses(Variables(params, start.state), batch, inner)
        return found.losses["adversarial"].values.mean()

    expected = jax.grad(oracle)(shared)
    moved = jax.tree.map(lambda a, b: a - b, shared, after.params["shared"])
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert jax.tree.structure(through_gen) == jax.tree.structure(expected)


def test_both_turns_draw_their_own_latents():
    game, batch = zoo.game("unconditional"), zoo.batch()
    updater = alternating(game)
    state = updater.init(KEY, batch)
    contexts = [
        Context(jax.random.fold_in(jax.random.fold_in(KEY, i), 0), state.step) for i in (0, 1)
    ]
    drawn = [zoo.LATENTS.draw(8, c.fold("generate").fold("latents")) for c in contexts]
    assert not np.allclose(drawn[0], drawn[1])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"condition": "label"}, "condition='label'"),
        ({"condition": "projection"}, "needs num_classes"),
        ({"condition": "auxiliary", "num_classes": 3}, "task named 'class'"),
        ({"fakes_in_disc": True}, "fakes_in_disc"),
        ({"tasks": (zoo.class_head(fake_weight=1.0),)}, "'class' has a fake_weight"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(options, match):
    with pytest.raises(ValueError, match=match):
        gan(zoo.players(), zoo.LATENTS, zoo.adam(), **options)


def test_players_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match="middle"):
        gan(zoo.players(middle=zoo.linen(nets.MLPTrunk((6,)))), zoo.LATENTS, zoo.adam())
    with pytest.raises(ValueError, match=r"players\.disc"):
        gan(zoo.players(disc=None), zoo.LATENTS, zoo.adam())
    game = zoo.game("unconditional")
    big = {**zoo.batch(), "images": jnp.zeros((8, 5, 5, 1))}
    with pytest.raises(ValueError, match=r"shape \(4, 4, 1\), the data has \(5, 5, 1\)"):
        game.init(KEY, big)


def test_a_batch_without_the_task_s_entries_is_refused_by_name():
    batch = {k: v for k, v in zoo.batch().items() if k != "labels"}
    with pytest.raises(ValueError, match="Task 'class' needs the batch entry 'labels'"):
        zoo.game("ac_gan").init(KEY, batch)
    with pytest.raises(ValueError, match="labels of all images"):
        zoo.game("projection").init(KEY, batch)
