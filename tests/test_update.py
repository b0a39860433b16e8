"""Laws of the alternating update, on a toy that uses everything it offers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from marks import slow

from gan_mtl import table
from gan_mtl.gradients import take_slice
from gan_mtl.mtl import equal
from gan_mtl.types import (
    Aggregator,
    Context,
    Game,
    Loss,
    Objective,
    Outcome,
    Turn,
    Variables,
    Weighting,
    group_of,
)
from gan_mtl.update import alternating

KEY = jax.random.key(3)


def leaves_equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def close(a, b, tolerance=1e-6):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@functools.cache
def played(**options):
    """The compiled toy: `(init, update)`, shared between tests."""
    accumulate = options.pop("accumulate", 1)
    updater = alternating(toys.game(**options), accumulate=accumulate)
    return jax.jit(updater.init), jax.jit(updater.update, static_argnames=("due", "axis_name"))


def separate_gradients(game, turn, state, batch, context):
    """Oracle: each objective differentiated alone in each entry, then weighted and summed."""
    expected = {}
    for name, row in turn.objectives.items():
        for entry, value in row.entries.items():

            def objective(tree, name=name, entry=entry):
                variables = Variables({**state.params, entry: tree}, state.state)
                loss = turn.losses(variables, batch, context).losses[name]
                if loss.mask is None:
                    return loss.values.mean()
                return (loss.values * loss.mask).sum() / loss.mask.sum()

            group = group_of(entry)
            scale = table.coefficient(value, context.step, row.every)
            grad = jax.tree.map(lambda g, c=scale: c * g, jax.grad(objective)(state.params[group]))
            old = expected.get(group)
            expected[group] = grad if old is None else jax.tree.map(jnp.add, old, grad)
    return expected


@pytest.mark.parametrize("weighting", [None, *slow(equal())], ids=["sum", "equal"])
def test_applied_gradient_is_the_weighted_sum_of_separate_gradients(weighting):
    game = toys.game(lambda rate: optax.sgd(1.0), weighting=weighting)
    if weighting is not None:  # a loss weighting scales only descended objectives: same numbers
        assert table.weighted(game.turns[0]) == ("adversarial",)
    init, update = (jax.jit(f) for f in alternating(game)[:2])
    batch = toys.batch(16)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    turn = game.turns[0]
    key = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    oracle = jax.jit(lambda s: separate_gradients(game, turn, s, batch, Context(key, s.step)))
    for group, grad in oracle(state).items():
        if group in table.moved_groups(game.turns[1]):
            continue  # the generator's turn moves it again
        moved = jax.tree.map(lambda old, new: old - new, state.params[group], after.params[group])
        close(moved, grad, 2e-6)


def test_the_generators_turn_sees_the_discriminator_after_its_turn():
    game = toys.game(lambda rate: optax.sgd(1.0))
    init, update = (jax.jit(f) for f in alternating(game)[:2])
    batch = toys.batch(16)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    only_disc = alternating(game._replace(turns=game.turns[:1], frozen=("gen", "gen/out"), ema={}))
    between, _ = jax.jit(only_disc.update)(KEY, state._replace(ema={}), batch)
    key = jax.random.fold_in(jax.random.fold_in(KEY, 1), 0)
    turn = game.turns[1]
    expected = separate_gradients(game, turn, between, batch, Context(key, state.step))
    for group, grad in expected.items():
        moved = jax.tree.map(lambda a, b: a - b, between.params[group], after.params[group])
        close(moved, grad, 2e-6)


def test_a_turn_leaves_everything_else_bit_identical():
    game = toys.game()
    gen_only = game._replace(
        turns=game.turns[1:], frozen=("stem", "trunk", "disc", "heads/class"), ema={}
    )
    init, update = (jax.jit(f) for f in alternating(gen_only)[:2])
    batch = toys.batch(16)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    for group in ("stem", "trunk", "disc", "heads/class"):
        assert leaves_equal(state.params[group], after.params[group])
    assert leaves_equal(state.state, after.state)  # its writes to others' statistics are dropped
    for group in ("gen", "gen/out", "shared"):
        assert not leaves_equal(state.params[group], after.params[group])


def test_statistics_are_threaded_real_then_fake():
    init, update = played()
    batch = toys.batch(16)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    context = Context(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), state.step)
    seen = toys.disc_losses(Variables(state.params, state.state), batch, context).variables
    close(after.state, seen.state)


def test_repeats_take_distinct_slices_and_count_examples():
    init, update = played(repeats=3)
    batch = toys.batch(24)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    assert int(after.examples) == 24 and int(after.step) == 1
    for i in range(3):
        part = take_slice(batch, i, 3)["images"]
        assert np.array_equal(part, batch["images"][i::3])
    changed = {**batch, "images": batch["images"].at[1::3].add(1.0)}
    other, _ = update(KEY, state, changed)
    assert not leaves_equal(after.params["trunk"], other.params["trunk"])


def test_lazy_rows_are_due_every_kth_step_and_the_two_ways_to_choose_agree():
    init, update = played()
    batch = toys.batch(16)
    inside = outside = init(KEY, batch)
    for i in range(4):
        key = jax.random.fold_in(KEY, i)
        inside, metrics = update(key, inside, batch)
        outside, _ = update(key, outside, batch, due=(i % 2 == 0,))
        assert bool(jnp.isnan(metrics["disc/penalty"])) == (i % 2 == 1)
    close(inside, outside)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_lazy_row_that_is_not_due_is_nan_in_the_type_of_its_loss(dtype):
    """Otherwise the branches of the program's own choice differ in their types."""

    def losses(variables, batch, context):
        del context
        error = batch["x"] * variables.params["a"]["w"] - 1
        return Outcome({"fit": Loss(error**2), "lazy": Loss(error**4)}, variables)

    rows = {"fit": Objective({"a": 1.0}), "lazy": Objective({"a": 1.0}, every=2)}
    game = Game(
        lambda key, batch: {"a": {"params": {"w": jnp.zeros((), batch["x"].dtype)}}},
        (Turn("model", losses, rows, optax.sgd(0.1)),),
    )
    with jax.enable_x64(True):
        updater, batch = alternating(game), {"x": jnp.ones(4, dtype)}
        state = updater.init(KEY, batch)
        for due in (True, False):
            inside, found = updater.update(KEY, state, batch)
            by_host, expected = updater.update(KEY, state, batch, due=(due,))
            assert found["model/lazy"].dtype == expected["model/lazy"].dtype == dtype
            assert bool(jnp.isnan(found["model/lazy"])) != due
            close((inside, found), (by_host, expected))
            state = by_host


def test_a_turn_of_its_own_period_is_skipped_between():
    game = toys.game(lazy=1)
    every = game._replace(turns=(game.turns[0], game.turns[1]._replace(every=3)))
    updater = alternating(every)
    assert updater.periods == (3,)
    update = jax.jit(updater.update)
    batch = toys.batch(16)
    state = jax.jit(updater.init)(KEY, batch)
    moved = []
    for i in range(4):
        after, metrics = update(jax.random.fold_in(KEY, i), state, batch)
        moved.append(not leaves_equal(after.params["gen"], state.params["gen"]))
        assert bool(jnp.isnan(metrics["gen/adversarial"])) != moved[-1]
        state = after
    assert moved == [True, False, False, True]


def test_scheduled_ascent_follows_the_step():
    init, update = played()
    batch = toys.batch(16)
    state = init(KEY, batch)
    first, _ = update(KEY, state, batch)
    later, _ = update(KEY, state._replace(step=jnp.asarray(10, jnp.int32)), batch)
    close(first.params["stem"], later.params["stem"])  # constant entries do not change
    assert not leaves_equal(first.params["trunk"], later.params["trunk"])


def test_ema_half_life_counts_examples_of_the_global_batch():
    init, update = played()
    batch = toys.batch(25)
    state = init(KEY, batch)
    after, _ = update(KEY, state, batch)
    keep = 0.5 ** (25 / 100.0)
    expected = jax.tree.map(
        lambda old, new: keep * old + (1 - keep) * new, state.params["gen"], after.params["gen"]
    )
    close(after.ema["gen"]["params"], expected)
    assert leaves_equal(after.ema["trunk"]["state"], after.state["trunk"])


def test_an_aggregator_gets_rows_of_shared_groups_with_coefficients():
    seen = {}

    def update(key, losses, rows, state):
        seen["rows"], seen["losses"] = rows, losses
        return jax.tree.map(lambda r: r[0] * 2.0, rows), jnp.array([2.0, 0.0]), state + 1

    first_only = Aggregator(lambda n: jnp.zeros(()), update)
    game = toys.game(lambda rate: optax.sgd(1.0), weighting=first_only)
    updater = alternating(game)
    batch = toys.batch(16)
    state = updater.init(KEY, batch)
    after, metrics = updater.update(KEY, state, batch, due=(False,))
    assert set(seen["rows"]) == {"stem", "shared", "trunk", "disc"} - {"disc"} | {"disc"}
    assert seen["losses"].shape == (2,)
    key = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    turn = game.turns[0]
    alone = turn._replace(objectives={"class": turn.objectives["class"]})
    expected = separate_gradients(game, alone, state, batch, Context(key, state.step))
    close(jax.tree.map(lambda r: r[1], seen["rows"]["trunk"]), expected["trunk"])
    head = jax.tree.map(
        lambda a, b: a - b, state.params["heads/class"], after.params["heads/class"]
    )
    close(head, expected["heads/class"])  # a private group takes its gradient times one
    assert float(after.weighting["disc"]) == 1.0
    assert float(metrics["disc/weight/adversarial"]) == 2.0


def test_loss_weightings_never_see_ascended_or_lazy_objectives_and_scale_private_groups():
    def update(key, losses, gramian, state):
        assert gramian is None
        return jnp.full_like(losses, 3.0), state

    tripled = Weighting(lambda n: jnp.zeros((n,)), update, needs_gramian=False)
    game = toys.linear_game()
    game = game._replace(
        turns=(game.turns[0]._replace(weighting=tripled, optimizer=optax.sgd(1.0)),)
    )
    assert table.weighted(game.turns[0]) == ("logits", "class")
    assert table.weighted(toys.game(weighting=tripled).turns[0]) == ("adversarial",)
    updater = alternating(game)
    batch = toys.batch(16)
    state = updater.init(KEY, batch)
    after, _ = updater.update(KEY, state, batch)
    key = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    expected = separate_gradients(game, game.turns[0], state, batch, Context(key, state.step))
    for group, grad in expected.items():
        moved = jax.tree.map(lambda a, b: a - b, state.params[group], after.params[group])
        close(moved, jax.tree.map(lambda g: 3.0 * g, grad), 3e-6)


def test_observe_sees_the_losses_after_the_step():
    watching = Weighting(
        lambda n: jnp.zeros((n,)),
        lambda k, losses, g, s: (jnp.ones_like(losses), s),
        needs_gramian=False,
        observe=lambda after, s: after,
    )
    game = toys.linear_game()
    game = game._replace(turns=(game.turns[0]._replace(weighting=watching),))
    updater = alternating(game)
    batch = toys.batch(16)
    state = updater.init(KEY, batch)
    after, before = jax.jit(updater.update)(KEY, state, batch)
    assert after.weighting["model"].shape == (2,)
    assert float(after.weighting["model"][0]) < float(before["model/logits"])


def test_one_optimizer_per_group():
    game = toys.linear_game()
    rates = {"stem": 0.0, "shared": 0.1, "disc": 0.2, "heads/class": 0.3}
    optimizers = {group: optax.sgd(rate) for group, rate in rates.items()}
    many = alternating(game._replace(turns=(game.turns[0]._replace(optimizer=optimizers),)))
    batch = toys.batch(16)
    state = many.init(KEY, batch)
    after, _ = many.update(KEY, state, batch)
    assert leaves_equal(after.params["stem"], state.params["stem"])
    unit = alternating(game._replace(turns=(game.turns[0]._replace(optimizer=optax.sgd(1.0)),)))
    one, _ = unit.update(KEY, unit.init(KEY, batch), batch)
    for group in ("shared", "disc", "heads/class"):
        close(
            jax.tree.map(lambda a, b: a - b, state.params[group], after.params[group]),
            jax.tree.map(
                lambda a, b, r=rates[group]: r * (a - b), state.params[group], one.params[group]
            ),
        )


def test_ten_steps_trace_the_turns_functions_at_most_twice():
    game, traces = toys.game(lazy=1), []

    def counted(variables, batch, context):
        traces.append(1)
        return toys.gen_losses(variables, batch, context)

    game = game._replace(turns=(game.turns[0], game.turns[1]._replace(losses=counted)))
    updater = alternating(game)
    update = jax.jit(updater.update)
    batch = toys.batch(16)
    state = jax.jit(updater.init)(KEY, batch)
    at_init = len(traces)
    for i in range(10):
        state, _ = update(jax.random.fold_in(KEY, i), state, batch)
    assert len(traces) - at_init <= 2
    assert update._cache_size() == 1


def test_the_two_players_draw_different_latents():
    game = toys.game()
    seen = []

    def spy(losses):
        def wrapped(variables, batch, context):
            n = batch["images"].shape[0]
            seen.append(toys.draws.normal(n, (2,), context.fold("latents")))
            return losses(variables, batch, context)

        return wrapped

    turns = tuple(t._replace(losses=spy(t.losses)) for t in game.turns)
    updater = alternating(game._replace(turns=turns))
    batch = toys.batch(8)
    state = updater.init(KEY, batch)
    seen.clear()
    updater.update(KEY, state, batch, due=(False,))
    assert not np.allclose(seen[0], seen[-1])


def test_a_turn_that_is_not_due_reports_the_same_names():
    """With the host's choice of variant, and with the program's own."""
    game = toys.game()
    lazy = game.turns[0]._replace(every=3)
    assert any(row.every == 2 for row in lazy.objectives.values())
    updater = alternating(game._replace(turns=(lazy, game.turns[1])), norms=True)
    batch = toys.batch(16)
    state = jax.jit(updater.init)(KEY, batch)
    played, own = state, state
    assert updater.periods == (2, 3)
    update = jax.jit(updater.update, static_argnames="due")
    for step in range(4):
        due = tuple(step % period == 0 for period in updater.periods)
        played, by_host = update(KEY, played, batch, due=due)
        own, by_program = update(KEY, own, batch)
        assert by_host.keys() == by_program.keys()
        reported = [name for name in by_host if name.startswith(("disc/", "grad_norm/disc/"))]
        absent = [name for name in reported if bool(jnp.isnan(by_host[name]))]
        assert absent == ([] if step in (0,) else reported if step % 3 else ["disc/penalty"])
        close(played, own)


def test_a_lazy_row_of_a_lazy_turn_is_scaled_by_its_own_plays():
    row = Objective({"disc": 1.0}, every=4)
    turn = toys.game().turns[0]
    assert table.times(row, turn) == 4
    assert table.times(row, turn._replace(every=2)) == 2
    assert table.times(row._replace(every=2), turn._replace(every=2)) == 1
    assert table.times(row._replace(every=2), turn._replace(every=4)) == 1
    assert table.times(row._replace(every=2), turn._replace(every=3)) == 2
