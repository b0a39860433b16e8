"""CORAL, MMD and JAN as rows: their table, their distances, who is moved."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear import linear

from gan_mtl import games, losses, table
from gan_mtl.types import Context, starting

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
DOMAINS = games.Domains("a", "b")
CLASS = games.source_task(linear(3), DOMAINS)
BATCH = {
    "images/a": jax.random.normal(KEY, (6, 4)),
    "labels/a": jnp.arange(6) % 3,
    "images/b": 1 + 2 * jax.random.normal(jax.random.key(1), (4, 4)),
}


def game(build, **options):
    return build(linear(3), (CLASS,), optax.sgd(0.1), domains=DOMAINS, **options)


@pytest.mark.parametrize(
    ("build", "head"), [(games.coral, "."), (games.mmd, "."), (games.jan, "0.5")]
)
def test_their_table(build, head):
    lines = table.render(game(build, weight=0.5)).splitlines()
    assert [line.split() for line in lines] == [
        ["turn", "objective", "trunk", "heads/class"],
        ["model", "class", "1", "1"],
        ["model", "alignment", "0.5", head],
    ]


@pytest.mark.parametrize("build", [games.coral, games.mmd, games.jan])
def test_the_row_is_the_distance_of_what_the_trunk_and_the_head_say(build):
    played = game(build)
    groups = played.init(KEY, BATCH)
    w, v = groups["trunk"]["params"]["w"], groups["heads/class"]["params"]["w"]
    hidden = [BATCH[f"images/{d}"] @ w for d in "ab"]
    said = [jax.nn.softmax(h @ v) for h in hidden]
    wanted = {
        games.coral: lambda: losses.deep_coral(*hidden),
        games.mmd: lambda: losses.multi_kernel_mmd(*hidden),
        games.jan: lambda: losses.joint_mmd((hidden[0], said[0]), (hidden[1], said[1])),
    }[build]()
    found = played.turns[0].losses(starting(groups), BATCH, CONTEXT)
    np.testing.assert_allclose(found.losses["alignment"].values, wanted, rtol=1e-5)
    assert set(found.losses) == {"class", "alignment"} and "class_accuracy" in found.metrics


def test_an_unbiased_estimate_may_be_negative_and_the_table_says_so():
    for options, signed in (({}, False), ({"unbiased": True}, True)):
        rows = game(games.mmd, **options).turns[0].objectives
        assert rows["alignment"].signed is signed


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"classes='digit' is not among the tasks \['class'\]"):
        game(games.jan, classes="digit")
    with pytest.raises(ValueError, match="distinct names"):
        task = CLASS._replace(name="alignment")
        games.coral(linear(3), (task,), optax.sgd(0.1), domains=DOMAINS).init(KEY, BATCH)
