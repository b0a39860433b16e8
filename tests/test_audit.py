"""Every table that cannot be played is refused by name, before anything is compiled."""

import jax
import jax.numpy as jnp
import optax
import pytest
import toys
import zoo

from gan_mtl import audit
from gan_mtl.mtl import equal, from_weighting, gradnorm, log_sum
from gan_mtl.types import Loss, Objective, Outcome
from gan_mtl.update import alternating

KEY = jax.random.key(0)
BATCH = toys.batch(8)


def with_rows(rows, number=0):
    game = toys.game(lazy=1)
    turns = list(game.turns)
    turns[number] = turns[number]._replace(objectives={**turns[number].objectives, **rows})
    return game._replace(turns=tuple(turns))


def refused(game, match):
    with pytest.raises(ValueError, match=match):
        alternating(game).init(KEY, BATCH)


def test_unknown_group():
    refused(with_rows({"class": Objective({"trnk": 1.0})}), "'trnk'.*no group")


def test_unknown_objective():
    refused(with_rows({"rotation": Objective({"trunk": 1.0})}), "rotation")


def test_empty_row_and_no_turns():
    refused(with_rows({"class": Objective({})}), "disc/class claims no group")
    refused(toys.game()._replace(turns=()), "no turns")


def test_a_group_that_nothing_trains():
    game = toys.game(lazy=1)
    refused(game._replace(turns=game.turns[:1], ema={}), r"\['gen', 'gen/out'\].*frozen")


def test_bad_ema():
    game = toys.game(lazy=1)
    refused(game._replace(ema={"generator": 10.0}), "'generator'")
    refused(game._replace(ema={"gen": 0.0}), "half-life.*'gen'.*0")


def test_missing_optimizer():
    game = toys.game(lazy=1)
    turn = game.turns[0]._replace(optimizer={"stem": optax.sgd(0.1)})
    refused(game._replace(turns=(turn, game.turns[1])), "no optimizer.*shared")


def test_a_group_moved_by_lazy_rows_only():
    refused(with_rows({"class": Objective({"heads/class": 1.0}, every=4)}), "Only lazy rows")


def test_aggregator_without_a_shared_group():
    game = toys.game(lazy=1)
    turn = game.turns[1]._replace(weighting=from_weighting(equal()))
    refused(game._replace(turns=(game.turns[0], turn)), "'gen' has an aggregator")


POSITIVE = log_sum(), from_weighting(log_sum()), gradnorm()


def signed_game(weighting, sign=1.0, signed=True):
    row = Objective({"trunk": sign}, signed=signed)
    game = with_rows({"adversarial": row, "class": Objective({"trunk": 1.0})})
    return game._replace(turns=(game.turns[0]._replace(weighting=weighting), game.turns[1]))


@pytest.mark.parametrize("weighting", POSITIVE)
def test_a_weighting_of_positive_losses_over_a_signed_objective(weighting):
    alternating(signed_game(weighting, signed=False))
    name = "gradnorm" if weighting is POSITIVE[2] else "log_sum"
    refused = f"'{name}' of turn 'disc'.*\\['adversarial'\\] are signed.*Use a weighting"
    with pytest.raises(ValueError, match=refused):
        alternating(signed_game(weighting))


def test_signed_objectives_that_no_logarithm_sees():
    for weighting in (None, equal(), from_weighting(equal())):
        alternating(signed_game(weighting))
    alternating(signed_game(log_sum(), sign=-1.0))  # ascended: not weighted


@pytest.mark.parametrize("name", ["unconditional", "ac_gan", "semi_rotation", "at_once"])
def test_adversarial_rows_of_our_games_are_signed(name):
    for turn in zoo.game(name).turns:
        signed = [n for n, row in turn.objectives.items() if row.signed]
        assert signed == [n for n in turn.objectives if n.split(":")[-1] == "adversarial"]
        game = zoo.game(name)._replace(turns=(turn._replace(weighting=log_sum()),), ema={})
        with pytest.raises(ValueError, match=f"'log_sum' of turn '{turn.name}'"):
            audit.check_table(game)


@pytest.mark.parametrize("shape", [(8, 1), (8, 2)])
def test_a_loss_that_is_not_one_value_per_example(shape):
    game = toys.game(lazy=1)

    def losses(variables, batch, context):
        outcome = game.turns[1].losses(variables, batch, context)
        return Outcome({"adversarial": Loss(jnp.ones(shape))}, outcome.variables)

    turn = game.turns[1]._replace(losses=losses)
    refused(game._replace(turns=(game.turns[0], turn)), "gen/adversarial has shape")


def test_a_batch_that_does_not_divide():
    updater = alternating(toys.game(repeats=3))
    state = updater.init(KEY, toys.batch(9))
    with pytest.raises(ValueError, match=r"'images' has shape \(10, 5\).*multiple of 3"):
        updater.update(KEY, state, toys.batch(10))
    with pytest.raises(ValueError, match="accumulate must be at least 1"):
        alternating(toys.game(), accumulate=0)


def norms_of(game):
    norms = jax.jit(audit.raw_gradient_norms(game))
    return [jax.device_get(norms(jax.random.key(i), BATCH)) for i in range(3)]


def test_a_live_game_passes_even_where_a_schedule_starts_at_zero():
    audit.check_alive(norms_of(toys.game()))


def test_a_dead_adversarial_loss_is_found_by_name():
    game = toys.game(lazy=1)

    def losses(variables, batch, context):
        outcome = toys.gen_losses(variables, batch, context)
        dead = jax.lax.stop_gradient(outcome.losses["adversarial"].values)
        return outcome._replace(losses={"adversarial": Loss(dead)})

    turn = game.turns[1]._replace(losses=losses)
    with pytest.raises(ValueError, match=r"gen/adversarial in 'gen'.*Remove the entry"):
        audit.check_alive(norms_of(game._replace(turns=(game.turns[0], turn))))


def test_a_claimed_group_that_the_objective_does_not_reach():
    game = with_rows({"class": Objective({"trunk": 1.0, "heads/class": 1.0, "disc": 1.0})})
    with pytest.raises(ValueError, match="disc/class in 'disc'"):
        audit.check_alive(norms_of(game))


def test_the_largest_convolution_of_a_function_and_all_within():
    def convolve(x):
        return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), "SAME")

    looped = jax.jit(lambda x: jax.lax.fori_loop(0, 2, lambda i, x: convolve(x), x))
    assert audit.largest_convolution(looped, jnp.ones((1, 1, 28, 20))) == 28
    assert audit.largest_convolution(jnp.sin, jnp.ones(3)) == 0
