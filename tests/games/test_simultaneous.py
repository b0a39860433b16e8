"""Moving at once: the bilinear game, whose orbits are known, and turns that keep what is theirs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl import table
from gan_mtl.games import simultaneous
from gan_mtl.types import Game, Loss, Network, Objective, Outcome, Turn
from gan_mtl.update import alternating

KEY = jax.random.key(0)
BATCH = {"x": np.zeros((4, 1))}
RATE, STEPS = 0.3, 8


def xy(variables, batch, context):
    """The value x y, which x descends and y ascends."""
    x, y = variables.params["x"]["w"], variables.params["y"]["w"]
    return Outcome({"value": Loss(x * y)}, variables, {"norm": Loss(x**2 + y**2)})


def init(key, batch):
    return {
        "x": {"params": {"w": jnp.ones(())}},
        "y": {"params": {"w": jnp.zeros(())}},
    }


def players(x=None, y=None):
    return (
        Turn("min", xy, {"value": Objective({"x": 1.0})}, x or optax.sgd(RATE)),
        Turn("max", xy, {"value": Objective({"y": -1.0})}, y or optax.sgd(RATE)),
    )


def orbit(turns):
    """The points (x, y) of the game, and the metrics, over some steps in float64."""
    with jax.enable_x64(True):
        updater = alternating(Game(init, turns))
        state, update = updater.init(KEY, BATCH), jax.jit(updater.update)
        points, seen = [], []
        for _ in range(STEPS):
            state, metrics = update(KEY, state, BATCH)
            points.append([float(state.params[name]["w"]) for name in ("x", "y")])
            seen.append(metrics)
    return np.array(points), seen


def test_at_once_the_players_spiral_outwards_as_the_rotation_says():
    """x + i y is multiplied by 1 + i RATE at every step."""
    points, _ = orbit((simultaneous(players()),))
    expected = (1 + 1j * RATE) ** np.arange(1, STEPS + 1)
    np.testing.assert_allclose(points, np.stack([expected.real, expected.imag], 1), rtol=1e-12)


def test_in_turns_the_players_keep_to_an_ellipse():
    """The second player answers the first one's move: x^2 + y^2 - RATE x y is kept."""
    points, _ = orbit(players())
    x, y = points.T
    np.testing.assert_allclose(x**2 + y**2 - RATE * x * y, 1.0, rtol=1e-12)
    assert not np.allclose(x**2 + y**2, (1 + RATE**2) ** np.arange(1, STEPS + 1))


def test_every_group_keeps_the_optimizer_of_its_turn_and_its_state():
    """Momentum for one player, Adam for the other, by hand."""
    adam = optax.adam(0.1, b1=0.5, b2=0.9, eps=1e-8)
    merged = simultaneous(players(optax.sgd(RATE, momentum=0.9), {"y": adam}))
    points, _ = orbit((merged,))
    x, y, speed, first, second = 1.0, 0.0, 0.0, 0.0, 0.0
    for t, found in enumerate(points, 1):
        grad_x, grad_y = y, -x
        speed = 0.9 * speed + grad_x
        first = 0.5 * first + 0.5 * grad_y
        second = 0.9 * second + 0.1 * grad_y**2
        x = x - RATE * speed
        y = y - 0.1 * (first / (1 - 0.5**t)) / (np.sqrt(second / (1 - 0.9**t)) + 1e-8)
        np.testing.assert_allclose(found, [x, y], rtol=1e-9)


def test_names_carry_the_turn():
    merged = simultaneous(players(), name="both")
    assert merged.name == "both" and list(merged.objectives) == ["min:value", "max:value"]
    assert table.moved_groups(merged) == ("x", "y")
    points, seen = orbit((merged,))
    before = np.concatenate([[[1.0, 0.0]], points[:-1]])
    for name in ("min", "max"):
        values = [float(metrics[f"both/{name}:value"]) for metrics in seen]
        np.testing.assert_allclose(values, before.prod(axis=1), atol=1e-12)
        norms = [float(metrics[f"both/{name}:norm"]) for metrics in seen]
        np.testing.assert_allclose(norms, (before**2).sum(axis=1))


def test_collections_are_threaded_through_the_turns_in_order():
    count = Network(
        lambda key: {},
        lambda variables, context: (0.0, {"count": {"n": 10 * variables["count"]["n"] + 1}}),
    )

    def counting(variables, batch, context):
        _, variables = variables.apply(count, "x", context=context)
        return xy(variables, batch, context)

    def start(key, batch):
        groups = init(key, batch)
        return {**groups, "x": {**groups["x"], "count": {"n": jnp.zeros((), jnp.int32)}}}

    merged = simultaneous([turn._replace(losses=counting) for turn in players()])
    updater = alternating(Game(start, (merged,)))
    state = updater.init(KEY, BATCH)
    state, _ = updater.update(KEY, state, BATCH)
    assert int(state.state["x"]["count"]["n"]) == 11  # each turn has written once


@pytest.mark.parametrize(
    "options", [{"every": 2}, {"weighting": object()}, {"repeats": 3}], ids=lambda o: next(iter(o))
)
def test_turns_with_a_rhythm_or_a_weighting_are_refused(options):
    first, second = players()
    with pytest.raises(ValueError, match="Turn 'max' repeats, has a period or a weighting"):
        simultaneous((first, second._replace(**options)))


def test_roles_of_one_group_are_one_group():
    rows = {"value": Objective({"x@other": 1.0})}
    first, second = players()
    with pytest.raises(ValueError, match="Group 'x' is moved by the turns 'min' and 'max'"):
        simultaneous((first, second._replace(objectives=rows)))
