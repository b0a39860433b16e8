"""One pass of a turn: masked means over slices and devices, and steps against NumPy by hand.

The model is a product: features x @ u (group `trunk`), predictions v times these (group `head`).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.gradients import evaluate, take_slice, turn_pass
from gan_mtl.types import (
    Aggregator,
    Context,
    Game,
    Loss,
    Objective,
    Outcome,
    Schedule,
    Turn,
    Weighting,
)
from gan_mtl.update import alternating

N, D = 16, 3
KEY = jax.random.key(1)
RAMP = Schedule(lambda step: 0.1 * step, "t/10", sign=-1)
ROWS = {
    "fit": Objective({"trunk": 1.0, "head": 0.5}),
    "size": Objective({"trunk": RAMP}),
    "decay": Objective({"head": 0.05}, every=2),
}
HALVES = Weighting(lambda n: (), lambda key, losses, gramian, s: (0.5 * jnp.ones_like(losses), s))


def losses(variables, batch, context):
    """Half the squared error where y is known, of the features, and of v as a statistic."""
    u, v = variables.params["trunk"]["u"], variables.params["head"]["v"]
    h = batch["x"] @ u
    error = h * v - batch["y"]
    found = {
        "fit": Loss(error**2 / 2, batch["known"]),
        "size": Loss(h**2 / 2),
        "decay": Loss(v**2 / 2),
    }
    return Outcome(found, variables, {"error": Loss(jnp.abs(error), batch["known"])})


def by_hand(params, batch, names):
    """Values and gradients of the objectives in float64: `{name: (value, grad u, grad v)}`."""
    u, v = params["trunk"]["u"], params["head"]["v"]
    x, y, known = batch["x"], batch["y"], batch["known"]
    h = x @ u
    error = (h * v - y) * known
    total = known.sum()
    found = {
        "fit": ((error**2).sum() / 2 / total, (error * v) @ x / total, error @ h / total),
        "size": ((h**2).mean() / 2, h @ x / len(x), 0.0),
        "decay": (v**2 / 2, 0.0 * u, v),
    }
    return {name: found[name] for name in names}


def batch_of(seed, n=N):
    draw = np.random.default_rng(seed)
    known = (draw.random(n) < 0.6).astype(float)
    known[0] = 1.0
    return {"x": draw.normal(size=(n, D)), "y": draw.normal(size=n), "known": known}


def parameters():
    return {"trunk": {"u": np.array([0.5, -0.3, 0.8])}, "head": {"v": np.array(0.7)}}


def init(key, batch):
    tree = jax.tree.map(lambda x: jnp.asarray(x, batch["x"].dtype), parameters())
    return {group: {"params": params} for group, params in tree.items()}


def turn(**options):
    options.setdefault("objectives", ROWS)
    return Turn("model", losses, optimizer=optax.sgd(0.1, momentum=0.9), **options)


def run(turn, params, batch, step=0, names=("fit", "size"), state=None, accumulate=1, axis=None):
    context = Context(KEY, jnp.asarray(step), axis_name=axis)
    collections = {group: {} for group in params}
    return turn_pass(turn, names, params, collections, state, batch, context, accumulate)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_many_steps_equal_a_loop_by_hand(accumulate):
    """Momentum, a ramp that ascends, a lazy row and masks, for six steps on six batches."""
    # Accumulation refuses the statistic, even though it is one of parameters alone.
    rows = {name: row for name, row in ROWS.items() if accumulate == 1 or name != "decay"}
    with jax.enable_x64(True):
        updater = alternating(Game(init, (turn(objectives=rows),)), accumulate=accumulate)
        state = jax.jit(updater.init)(KEY, batch_of(0))
        update = jax.jit(updater.update)
        params = parameters()
        speed = jax.tree.map(np.zeros_like, params)
        for step in range(6):
            batch = batch_of(step)
            state, metrics = update(KEY, state, batch)
            found = by_hand(params, batch, rows)
            grads = {"trunk": {"u": np.zeros(D)}, "head": {"v": 0.0}}
            for name, (value, grad_u, grad_v) in found.items():
                due = name != "decay" or step % 2 == 0
                seen = value if due else np.nan
                np.testing.assert_allclose(metrics[f"model/{name}"], seen, rtol=1e-12)
                if name == "size":
                    grads["trunk"]["u"] -= 0.1 * step * grad_u
                elif name == "fit":
                    grads["trunk"]["u"] += grad_u
                    grads["head"]["v"] += 0.5 * grad_v
                elif due:
                    grads["head"]["v"] += 2 * 0.05 * grad_v
            speed = jax.tree.map(lambda s, g: 0.9 * s + g, speed, grads)
            params = jax.tree.map(lambda p, s: p - 0.1 * s, params, speed)
        for group, name in (("trunk", "u"), ("head", "v")):
            np.testing.assert_allclose(state.params[group][name], params[group][name], rtol=1e-10)


def test_a_metric_is_a_masked_mean_too_and_moves_nothing():
    batch = batch_of(3)
    found = run(turn(), parameters(), batch)
    h = batch["x"] @ parameters()["trunk"]["u"]
    error = np.abs(h * 0.7 - batch["y"])
    expected = (error * batch["known"]).sum() / batch["known"].sum()
    np.testing.assert_allclose(found.metrics["error"], expected, rtol=1e-5)
    assert set(found.losses) == {"fit", "size"} and set(found.grads) == {"trunk", "head"}


@pytest.mark.parametrize("rows", [None, "gramian"])
def test_a_masked_mean_is_sum_over_sum_across_devices(rows):
    """The devices hold very unequal numbers of known examples, two of them none."""
    count = jax.device_count()
    steady = {name: ROWS[name] for name in ("fit", "size")}
    player = turn(objectives=steady, weighting=HALVES if rows else None)
    batch = batch_of(5)
    batch["known"] = np.zeros(N)
    batch["known"][[0, 1, 2, 4, 5, 9]] = 1.0
    with jax.enable_x64(True):
        split = {k: x.reshape(count, -1, *x.shape[1:]) for k, x in batch.items()}
        alone = run(player, parameters(), batch, step=3, state=())
        spread = jax.pmap(
            lambda b: run(player, parameters(), b, step=3, state=(), axis="batch")[:3],
            axis_name="batch",
        )(split)
        value, grad_u, grad_v = by_hand(parameters(), batch, ("fit",))["fit"]
        _, size_u, _ = by_hand(parameters(), batch, ("size",))["size"]
        np.testing.assert_allclose(alone.losses["fit"], value, rtol=1e-12)
        scale = 0.5 if rows else 1.0
        expected = scale * (grad_u - 0.3 * size_u)
        np.testing.assert_allclose(alone.grads["trunk"]["u"], expected, rtol=1e-10)
        np.testing.assert_allclose(alone.grads["head"]["v"], 0.5 * grad_v, rtol=1e-10)  # private
        for device in range(count):
            for a, b in zip(jax.tree.leaves(spread), jax.tree.leaves(alone[:3]), strict=True):
                np.testing.assert_allclose(a[device], b, rtol=1e-10)


def test_where_nothing_is_known_loss_and_gradient_are_zero():
    batch = {**batch_of(2), "known": np.zeros(N)}
    found = run(turn(), parameters(), batch)
    assert float(found.losses["fit"]) == float(found.grads["head"]["v"]) == 0.0
    assert not np.any(found.grads["trunk"]["u"])  # the other row's ramp starts at zero
    hidden = run(turn(), parameters(), {**batch, "y": np.full(N, np.nan)})
    assert float(hidden.losses["fit"]) == 0.0


def test_objectives_that_are_not_due_are_neither_computed_nor_reported():
    found = run(turn(), parameters(), batch_of(1), names=("size",))
    assert set(found.losses) == {"size"} and set(found.grads) == {"trunk"}


def test_evaluate_gives_the_losses_of_the_pass_before_the_step():
    batch = batch_of(4)
    collections = {"trunk": {}, "head": {}}
    found = evaluate(turn(), parameters(), collections, batch, Context(KEY, jnp.asarray(0)))
    for name, (value, _, _) in by_hand(parameters(), batch, ROWS).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_slices_are_strided_and_leave_no_example_out():
    batch = {"x": np.arange(12).reshape(6, 2), "y": np.arange(6)}
    parts = [take_slice(batch, i, 3) for i in range(3)]
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part["y"], [i, i + 3])
        np.testing.assert_array_equal(part["x"], batch["x"][i::3])
    assert take_slice(batch, 0, 1) is batch


@pytest.mark.parametrize("accumulate", [1, 4])
def test_an_aggregator_sees_each_pass_once_however_many_slices_it_takes(accumulate):
    """A running mean of the losses, carried over three steps, and the rows of whole batches."""

    def update(key, losses, rows, state):
        seen, mean = state
        mean = mean + (losses - mean) / (seen + 1)
        weights = mean / mean.sum()
        direction = jax.tree.map(lambda row: jnp.tensordot(weights, row, axes=1), rows)
        return direction, weights, (seen + 1, mean)

    running = Aggregator(lambda n: (jnp.zeros(()), jnp.zeros(n)), update)
    rows = {"fit": Objective({"trunk": 1.0, "head": 1.0}), "size": Objective({"trunk": 2.0})}
    player = turn(objectives=rows, weighting=running)._replace(optimizer=optax.sgd(0.2))
    with jax.enable_x64(True):
        updater = alternating(Game(init, (player,)), accumulate=accumulate)
        state = jax.jit(updater.init)(KEY, batch_of(0))
        update_ = jax.jit(updater.update)
        params, history = parameters(), []
        for step in range(3):
            batch = batch_of(10 + step)
            state, metrics = update_(KEY, state, batch)
            found = by_hand(params, batch, ("fit", "size"))
            history.append([found["fit"][0], found["size"][0]])
            weights = np.mean(history, axis=0) / np.mean(history, axis=0).sum()
            np.testing.assert_allclose(metrics["model/weight/size"], weights[1], rtol=1e-10)
            u = weights[0] * found["fit"][1] + weights[1] * 2 * found["size"][1]
            params["trunk"]["u"] = params["trunk"]["u"] - 0.2 * u
            params["head"]["v"] = params["head"]["v"] - 0.2 * found["fit"][2]  # private: times one
        np.testing.assert_allclose(state.params["trunk"]["u"], params["trunk"]["u"], rtol=1e-10)
        np.testing.assert_allclose(state.params["head"]["v"], params["head"]["v"], rtol=1e-10)
        assert float(state.weighting["model"][0]) == 3.0


def test_groups_of_one_coefficient_pattern_share_a_backward_pass():
    """Two groups in equal columns cost one pass backward, in different columns two."""

    def count(rows):
        calls = []

        def backward(_, gradient):
            calls.append(1)
            return (gradient,)

        probe = jax.custom_vjp(lambda x: x)
        probe.defvjp(lambda x: (x, None), backward)

        def probed(variables, batch, context):
            outcome = losses(variables, batch, context)
            fit = outcome.losses["fit"]
            watched = {**outcome.losses, "fit": fit._replace(values=probe(fit.values))}
            return outcome._replace(losses=watched)

        run(turn(objectives=rows)._replace(losses=probed), parameters(), batch_of(0))
        return len(calls)

    same = {"trunk": 1.0, "head": 1.0}
    ordinary = {"fit": Objective(same), "size": Objective(same)}
    other = {"fit": Objective({"trunk": 1.0, "head": 2.0}), "size": Objective(same)}
    assert (count(ordinary), count(other)) == (1, 2)
