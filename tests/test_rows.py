"""Ways to come by rows: exact, batched, of features, kept for some steps, of several batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from marks import slow

from gan_mtl import mtl, parallel
from gan_mtl.types import (
    Aggregator,
    Game,
    Loss,
    Objective,
    Outcome,
    Rows,
    Turn,
    Variables,
    Weighting,
)
from gan_mtl.update import alternating

N, D, Z, TASKS = 16, 5, 4, ("a", "b", "c")
KEY = jax.random.key(0)


def losses(variables, batch, context):
    """Three regressions on tanh(x u); task c has labels for some examples only."""
    del context
    z = variables.tap(jnp.tanh(batch["x"] @ variables.params["trunk"]["u"]))
    found = {}
    for i, name in enumerate(TASKS):
        error = z @ variables.params[f"head/{name}"]["v"] - batch["y"][:, i]
        found[name] = Loss(error**2, batch["known"] if name == "c" else None)
    return Outcome(found, variables, features=z)


def init(key, batch):
    keys = jax.random.split(key, 4)
    dtype = batch["x"].dtype
    groups = {"trunk": {"u": jax.random.normal(keys[0], (batch["x"].shape[1], Z), dtype)}}
    heads = zip(TASKS, keys[1:], strict=True)
    groups |= {f"head/{n}": {"v": jax.random.normal(k, (Z,), dtype)} for n, k in heads}
    return {group: {"params": params} for group, params in groups.items()}


def batch_of(seed, n=N):
    draw = np.random.default_rng(seed)
    known = (draw.random(n) < 0.6).astype(float)
    known[:2] = 1.0
    return {"x": draw.normal(size=(n, D)), "y": 3 * draw.normal(size=(n, 3)), "known": known}


def inverse_norms():
    """A Gramian weighting with a state: weights of one over the length, and a count of calls."""

    def update(key, losses, gramian, state):
        del key, losses
        return 1 / jnp.sqrt(jnp.diagonal(gramian)), state + 1

    return Weighting(lambda count: jnp.zeros((), jnp.int32), update)


def game(weighting=None, rows=None, sizes=(1.0, -0.5, 2.0)):
    table = {
        name: Objective({"trunk": size, f"head/{name}": 1.0})
        for name, size in zip(TASKS, sizes, strict=True)
    }
    turn = Turn("model", losses, table, optax.sgd(0.01), weighting or inverse_norms())
    return Game(init, (turn._replace(rows=rows or Rows()),))


@functools.cache
def trajectory(rows, steps=5, mode="jit", num_devices=1):
    with jax.enable_x64(True):
        updater = alternating(game(rows=rows))
        compiled = parallel.compile_update(updater, mode=mode, num_devices=num_devices)
        state = compiled.init(KEY, batch_of(0))
        seen = []
        for step in range(steps):
            key = jax.random.fold_in(KEY, step)
            state, metrics = compiled.update(step, key, state, compiled.put(batch_of(step)))
            seen.append(jax.device_get(metrics))
        return jax.device_get(compiled.split(state)[0]), seen


def gradients_of(params, batch, with_respect_to):
    """Every task's gradient in NumPy arrays, by hand-written reverse mode in float64."""
    pre = batch["x"] @ params["trunk"]["u"]
    z = np.tanh(pre)
    found = {}
    for i, name in enumerate(TASKS):
        v = params[f"head/{name}"]["v"]
        mask = batch["known"] if name == "c" else np.ones(len(z))
        slope = 2 * (z @ v - batch["y"][:, i]) * mask / mask.sum()
        d_z = slope[:, None] * v[None]
        d_u = batch["x"].T @ (d_z * (1 - z**2))
        found[name] = {"z": d_z, "u": d_u}[with_respect_to], d_u, z.T @ slope
    return found


@pytest.mark.parametrize("of", ["parameters", "features"])
@pytest.mark.parametrize("every", [1, 3])
def test_five_steps_equal_a_loop_by_hand(of, every):
    state, seen = trajectory(Rows(of, every=every))
    with jax.enable_x64(True):
        params = jax.device_get(alternating(game()).init(KEY, batch_of(0)).params)
    sizes = dict(zip(TASKS, (1.0, -0.5, 2.0), strict=True))
    weights = {}
    for step in range(5):
        found = gradients_of(params, batch_of(step), "z" if of == "features" else "u")
        if step % every == 0:
            weights = {n: 1 / np.linalg.norm(sizes[n] * row) for n, (row, _, _) in found.items()}
        for name in TASKS:
            assert seen[step][f"model/weight/{name}"] == pytest.approx(weights[name], rel=1e-10)
            _, d_u, d_v = found[name]
            params["trunk"]["u"] = params["trunk"]["u"] - 0.01 * weights[name] * sizes[name] * d_u
            params[f"head/{name}"]["v"] = params[f"head/{name}"]["v"] - 0.01 * d_v
    for found, expected in zip(jax.tree.leaves(state.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    calls = state.weighting["model"] if every == 1 else state.weighting["model"]["of"]
    assert int(calls) == (5 if every == 1 else 2)


def test_batched_backward_passes_give_the_same():
    for x, y in zip(
        jax.tree.leaves(trajectory(Rows(vmapped=True))),
        jax.tree.leaves(trajectory(Rows(vmapped=False))),
        strict=True,
    ):
        np.testing.assert_allclose(x, y, rtol=1e-12)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
@pytest.mark.parametrize("rows", [Rows(every=2), *slow(Rows("features"), Rows(vmapped=True))])
def test_devices_agree(rows, mode):
    one, four = trajectory(rows), trajectory(rows, mode=mode, num_devices=4)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def test_an_aggregator_may_take_rows_of_several_batches():
    seen = []

    def update(key, losses, rows, state):
        seen.append(jax.tree.map(jnp.shape, (losses, rows)))
        first, second = (jax.tree.map(lambda x, i=i: x[i], rows) for i in range(2))
        return jax.tree.map(lambda a, b: a[0] + b[1], first, second), jnp.ones(3), state

    with jax.enable_x64(True):
        updater = alternating(game(Aggregator(lambda count: (), update, num_batches=2)))
        batch = batch_of(0)
        state = updater.init(KEY, batch)
        after, metrics = jax.jit(updater.update)(KEY, state, batch)
    assert seen[0] == ((2, 3), {"trunk": {"u": (2, 3, D, Z)}})
    params = jax.device_get(state.params)
    parts = [{k: x[i::2] for k, x in batch.items()} for i in range(2)]
    found = [gradients_of(params, part, "u") for part in parts]
    direction = found[0]["a"][1] - 0.5 * found[1]["b"][1]
    moved = params["trunk"]["u"] - np.asarray(after.params["trunk"]["u"])
    np.testing.assert_allclose(moved, 0.01 * direction, rtol=1e-8)
    private = (found[0]["c"][2] + found[1]["c"][2]) / 2
    moved = params["head/c"]["v"] - np.asarray(after.params["head/c"]["v"])
    np.testing.assert_allclose(moved, 0.01 * private, rtol=1e-8)
    assert np.isfinite(metrics["model/c"])


@pytest.mark.parametrize("weighting", [inverse_norms, mtl.equal])
@pytest.mark.parametrize("dtype", ["float64", *slow("float32", "bfloat16")])
def test_kept_weights_may_be_chosen_inside_the_program(dtype, weighting):
    """`due=None`: the branches of one switch have the same types, whatever the weights come in."""
    with jax.enable_x64(True):
        updater = alternating(game(weighting(), Rows(every=2)))
        batch = {k: jnp.asarray(x, dtype) for k, x in batch_of(0).items()}
        inside = by_host = updater.init(KEY, batch)
        update = jax.jit(updater.update, static_argnames="due")
        for step in range(4):
            key = jax.random.fold_in(KEY, step)
            inside, metrics = update(key, inside, batch)
            by_host, expected = update(key, by_host, batch, due=(step % 2 == 0,))
            for name, value in expected.items():
                assert metrics[name].dtype == value.dtype, name
            for x, y in zip(
                jax.tree.leaves((inside, metrics)),
                jax.tree.leaves((by_host, expected)),
                strict=True,
            ):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)


def test_features_cost_one_backward_pass_of_the_trunk():
    """Operations as XLA counts them: rows of features, and exact ones, against the plain sum."""

    def flops(game):
        updater = alternating(game)
        batch = {k: jnp.asarray(x, jnp.float32) for k, x in batch_of(0).items()}
        batch["x"] = jnp.ones((N, 2000))
        state = updater.init(KEY, batch)
        program = jax.jit(updater.update).lower(KEY, state, batch).compile()
        return program.cost_analysis()["flops"]

    plain = game()
    plain = flops(plain._replace(turns=(plain.turns[0]._replace(weighting=None),)))
    assert flops(game(rows=Rows("features"))) < 1.02 * plain
    assert flops(game()) > (1 + 3) / 2 * 0.95 * plain  # F + K B to F + B, and F = B here


def test_what_cannot_go_together_is_refused_by_name():
    batch = {k: x.astype(np.float32) for k, x in batch_of(0).items()}
    rows = Aggregator(lambda count: (), lambda *args: args)
    with pytest.raises(ValueError, match="needs the rows themselves at every step"):
        alternating(game(rows, Rows(every=2)))
    with pytest.raises(ValueError, match=r"every=0.* is not understood"):
        alternating(game(rows=Rows(every=0)))
    bare = game(rows=Rows("features"))
    bare = bare._replace(turns=(bare.turns[0]._replace(weighting=None),))
    with pytest.raises(ValueError, match="but no weighting"):
        alternating(bare)
    with pytest.raises(ValueError, match="accumulate=2 goes neither with rows of features"):
        updater = alternating(game(rows=Rows("features")), accumulate=2)
        updater.update(KEY, alternating(game()).init(KEY, batch), batch)

    def hidden(variables, batch, context):
        return losses(variables, batch, context)._replace(features=None)

    untold = game(rows=Rows("features"))
    updater = alternating(untold._replace(turns=(untold.turns[0]._replace(losses=hidden),)))
    with pytest.raises(ValueError, match=r"its outcome names none: pass .*variables\.tap"):
        updater.update(KEY, updater.init(KEY, batch), batch)


def test_a_tap_is_the_identity_where_nothing_is_asked():
    variables = Variables({"trunk": {"u": jnp.ones((D, Z))}}, {"trunk": {}})
    z = jnp.arange(4.0)
    assert variables.tap(z) is z


@pytest.mark.parametrize("name", ["moco", "modo", *slow("dbmtl", "excess", "sdmgrad", "graddrop")])
def test_aggregators_that_keep_rows_or_take_batches_run_in_a_game(name):
    sizes = (1.0, 0.5, 2.0)  # no task is ascended: two of them take logarithms
    factory = getattr(mtl, name)()
    with jax.enable_x64(True):
        updater = alternating(game(factory, sizes=sizes))
        batch = batch_of(0, 12 * factory.num_batches)
        state = updater.init(KEY, batch)
        update = jax.jit(updater.update)
        start = state
        for step in range(3):
            state, metrics = update(jax.random.fold_in(KEY, step), state, batch)
        same = jax.tree.structure(start.weighting) == jax.tree.structure(state.weighting)
        moved = np.abs(np.asarray(state.params["trunk"]["u"] - start.params["trunk"]["u"]))
    assert same and 0 < moved.max() < 1
    assert all(np.isfinite(value) for value in metrics.values())
