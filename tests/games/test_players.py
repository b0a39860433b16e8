"""What the players are made of: every pass composed by hand from matrices in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import table
from gan_mtl.games.players import (
    Latents,
    Players,
    alternating_rows,
    check_players,
    discriminate,
    features,
    generate,
    init_players,
    sampler,
    shared_entries,
)
from gan_mtl.games.tasks import class_task, entropy_task
from gan_mtl.types import Context, Network, Objective, Schedule, starting

N, WIDTH, CLASSES = 6, 4, 3
SHAPE = (2, 2, 1)
KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(8), jnp.zeros((), jnp.int32))
LATENTS = Latents(2)


def linear(out, shape=None):
    """Flat inputs, side by side, times a kernel."""

    def init(key, *inputs):
        width = sum(x.reshape(len(x), -1).shape[1] for x in inputs)
        return {"params": {"w": jax.random.normal(key, (width, out))}}

    def apply(variables, *inputs, context):
        x = jnp.concatenate([x.reshape(len(x), -1) for x in inputs], axis=1)
        y = x @ variables["params"]["w"]
        return (y if shape is None else y.reshape(len(y), *shape)), {}

    return Network(init, apply)


def row(key, hidden, *labels):
    return {"params": {"w": jax.random.normal(key, (hidden.shape[1],))}}


SCORE = Network(row, lambda variables, hidden, context: (hidden @ variables["params"]["w"], {}))
PROJECTION = Network(
    row,
    lambda variables, hidden, labels, context: (hidden @ variables["params"]["w"] + labels, {}),
)
EMBED = Network(
    lambda key, labels: {"params": {"w": jax.random.normal(key, (CLASSES, WIDTH))}},
    lambda variables, labels, context: (variables["params"]["w"][labels], {}),
)
PLAIN = Players(linear(4, SHAPE), linear(WIDTH), SCORE)
EMBEDDED = PLAIN._replace(embed=EMBED)
BLOCK = Players(linear(WIDTH), linear(WIDTH), SCORE, middle=linear(WIDTH), gen_out=linear(4, SHAPE))
BATCH = {
    "images": jax.random.normal(jax.random.key(1), (N, *SHAPE)),
    "labels": jnp.array([0, 1, 2, 2, 1, -1]),
}
LABELS = np.array([2, 0, 1, 1, 2, 0])


def start(players, num_classes=None, projected=False, tasks=(), key=KEY):
    groups = init_players(players, LATENTS, num_classes, projected, tasks, key, BATCH)
    return starting(groups), {n: np.asarray(g["params"]["w"]) for n, g in groups.items()}


def latents():
    return np.asarray(LATENTS.draw(N, CONTEXT.fold("latents")))


def check(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_latents_follow_their_law_and_belong_to_examples():
    wide = Latents(5, "uniform", 2.0, 6.0)
    z = np.asarray(wide.draw(2000, CONTEXT))
    assert z.shape == (2000, 5) and 2 <= z.min() < 2.01 and 5.99 < z.max() < 6
    assert abs(z.mean() - 4) < 6 * np.sqrt(16 / 12 / z.size)
    half = CONTEXT._replace(stride=2, offset=1)
    np.testing.assert_array_equal(wide.draw(3, half), z[1:6:2])
    normal = np.asarray(LATENTS.draw(2000, CONTEXT))
    assert normal.min() < -2 and abs((normal**2).mean() - 1) < 6 * np.sqrt(2 / normal.size)


def test_an_unconditional_generator_takes_latents_alone():
    variables, w = start(PLAIN)
    images, _ = generate(PLAIN, LATENTS, None, variables, N, None, CONTEXT)
    check(images, (latents() @ w["gen"]).reshape(N, *SHAPE))


def test_a_conditional_generator_takes_the_class_one_hot_beside_them():
    variables, w = start(PLAIN, CLASSES)
    images, _ = generate(PLAIN, LATENTS, CLASSES, variables, N, jnp.array(LABELS), CONTEXT)
    inputs = np.concatenate([latents(), np.eye(CLASSES)[LABELS]], axis=1)
    check(images, (inputs @ w["gen"]).reshape(N, *SHAPE))


def test_a_shared_embedding_conditions_the_generator_and_projects_in_the_discriminator():
    variables, w = start(EMBEDDED, CLASSES, projected=True)
    # Each player has its own copy in its role, as a turn differentiates it.
    params = {**variables.params, "shared@gen": {"w": w["shared"] + 1.0}}
    apart = variables._replace(params=params)
    images, _ = generate(EMBEDDED, LATENTS, CLASSES, apart, N, jnp.array(LABELS), CONTEXT)
    inputs = np.concatenate([latents(), w["shared"][LABELS] + 1.0], axis=1)
    check(images, (inputs @ w["gen"]).reshape(N, *SHAPE))
    hidden, _ = features(EMBEDDED, apart, images, CONTEXT)
    h = np.asarray(images).reshape(N, -1) @ w["trunk"]
    check(hidden, h)
    logits, _ = discriminate(EMBEDDED, True, apart, hidden, jnp.array(LABELS), CONTEXT)
    check(logits, h @ w["disc"] + (w["shared"][LABELS] * h).sum(axis=1))
    without, _ = discriminate(EMBEDDED, False, apart, hidden, None, CONTEXT)
    check(without, h @ w["disc"])


def test_a_projection_head_is_given_the_labels_itself():
    players = PLAIN._replace(disc=PROJECTION)
    variables, w = start(players, CLASSES, projected=True)
    hidden = jax.random.normal(KEY, (N, WIDTH))
    logits, _ = discriminate(players, True, variables, hidden, jnp.array(LABELS), CONTEXT)
    check(logits, hidden @ w["disc"] + LABELS)


def test_a_shared_block_lies_in_the_middle_of_both_players():
    variables, w = start(BLOCK)
    assert set(w) == {"gen", "shared", "gen/out", "trunk", "disc"}
    params = {**variables.params, "shared@gen": {"w": 2.0 * w["shared"]}}
    apart = variables._replace(params=params)
    images, _ = generate(BLOCK, LATENTS, None, apart, N, None, CONTEXT)
    check(images, (latents() @ w["gen"] @ (2 * w["shared"]) @ w["gen/out"]).reshape(N, *SHAPE))
    hidden, _ = features(BLOCK, apart, BATCH["images"], CONTEXT)
    check(hidden, np.asarray(BATCH["images"]).reshape(N, -1) @ w["trunk"] @ w["shared"])


def test_samples_are_of_the_classes_in_turn_unless_asked_for():
    variables, _ = start(PLAIN, CLASSES)
    sample = sampler(PLAIN, LATENTS.draw, CLASSES).sample
    turns = jnp.array([0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(
        sample(variables, N, None, CONTEXT), sample(variables, N, turns, CONTEXT)
    )
    asked = sample(variables, N, jnp.array(LABELS), CONTEXT)
    expected, _ = generate(PLAIN, LATENTS, CLASSES, variables, N, jnp.array(LABELS), CONTEXT)
    np.testing.assert_array_equal(asked, expected)
    assert not np.allclose(asked, sample(variables, N, turns, CONTEXT))


def test_heads_are_groups_of_their_own_and_groups_draw_apart():
    head = class_task(linear(CLASSES), labelled=False)
    _, w = start(PLAIN, tasks=(head, entropy_task(head)))
    assert set(w) == {"gen", "trunk", "disc", "heads/class"}
    assert w["heads/class"].shape == (WIDTH, CLASSES)
    flat = np.concatenate([x.ravel() for x in w.values()])
    assert len(np.unique(flat)) == flat.size
    _, again = start(PLAIN, tasks=(head,))
    _, other = start(PLAIN, tasks=(head,), key=jax.random.key(1))
    for name, x in w.items():
        np.testing.assert_array_equal(again[name], x)
        assert not np.isin(other[name], x).any()


@pytest.mark.parametrize(
    ("players", "num_classes", "match"),
    [
        (EMBEDDED._replace(middle=linear(WIDTH)), CLASSES, "not both"),
        (PLAIN._replace(gen_out=linear(4)), None, "go together"),
        (EMBEDDED, None, "give num_classes"),
    ],
)
def test_combinations_that_mean_nothing_are_refused(players, num_classes, match):
    with pytest.raises(ValueError, match=match):
        check_players(players, num_classes)


@pytest.mark.parametrize(
    ("owner", "gen", "disc"),
    [("gen", True, False), ("disc", False, True), ("both", True, True)],
)
def test_only_the_owner_s_turn_moves_what_is_shared(owner, gen, disc):
    for players in (EMBEDDED, BLOCK):
        found = [shared_entries(players, role, owner) for role in ("gen", "disc")]
        assert found == [{"shared@gen": 1.0} if gen else {}, {"shared@disc": 1.0} if disc else {}]
    assert shared_entries(PLAIN, "gen", owner) == {}


def test_alternating_owners_have_the_shared_group_for_100_steps_each():
    ramp = Schedule(lambda step: 2 * step, "ramp", -1)
    found = {}
    for role in ("disc", "gen"):
        rows = {"a": Objective({"own": 3.0, f"shared@{role}": 0.5}), "b": Objective({"own": 1.0})}
        rows["c"] = Objective({f"shared@{role}": ramp})
        rows = alternating_rows(rows, role)
        assert rows["a"].entries["own"] == 3.0 and rows["b"].entries == {"own": 1.0}
        found[role] = [rows[name].entries[f"shared@{role}"] for name in "ac"]
        assert [entry.text for entry in found[role]] == [f"0.5*{role}'s", f"ramp*{role}'s"]
    for step, owner in ((0, "disc"), (99, "disc"), (100, "gen"), (199, "gen"), (200, "disc")):
        for role, entries in found.items():
            mine = float(role == owner)
            values = [float(table.coefficient(entry, jnp.asarray(step))) for entry in entries]
            assert values == [0.5 * mine, -2 * step * mine]
