"""CyCADA: table, the rows by hand, what is frozen, who moves, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games, losses
from gan_mtl.types import starting

PLAYERS = games.CycadaPlayers(linear(4), linear(None), linear(3), linear(3), linear(None))
TRAINED = {
    "trunk": {"params": {"w": jnp.asarray(two.RNG.normal(size=(4, 3)), jnp.float32)}},
    "heads/class": {"params": {"w": jnp.asarray(two.RNG.normal(size=(3, 3)), jnp.float32)}},
}
OPTIMIZERS = games.CycadaOptimizers(*(optax.sgd(0.1),) * 3)
LOSS = losses.non_saturating


@functools.cache
def game(domain=True, semantic=0.5):
    players = PLAYERS if domain else PLAYERS._replace(domain=None)
    options = {"domains": two.DOMAINS, "semantic": semantic, "weight": 0.25, "adversarial": LOSS}
    return games.cycada(players, OPTIMIZERS, TRAINED, **options)


def test_its_table_and_what_is_frozen():
    header, lines = two.rows(game())
    groups = ["disc/a", "disc/b", "domain", "gen/a", "gen/b", "trunk", "heads/class"]
    assert header == ["turn", "objective", *groups]
    assert lines == [
        ["disc", "adversarial", "1", "1", ".", ".", ".", ".", "."],
        ["disc", "domain", ".", ".", "1", ".", ".", ".", "."],
        ["gen", "adversarial", ".", ".", ".", "1", "1", ".", "."],
        ["gen", "cycle", ".", ".", ".", "10", "10", ".", "."],
        ["gen", "semantic", ".", ".", ".", "0.5", "0.5", ".", "."],
        ["model", "class", ".", ".", ".", ".", ".", "1", "1"],
        ["model", "domain", ".", ".", ".", ".", ".", "0.25", "."],
    ]
    assert game().frozen == ("source/trunk", "source/heads/class")
    names = [line[1] for line in two.rows(game(domain=False, semantic=0.0))[1]]
    assert names == ["adversarial", "adversarial", "cycle", "class"]


def test_the_rows_by_hand():
    (disc, gen, model), w = two.outcomes(game())
    a, b = (np.asarray(two.BATCH[f"images/{d}"]) for d in "ab")
    to_a, to_b = b @ w["gen/a"], a @ w["gen/b"]

    def classes(images, prefix=""):
        return images @ w[f"{prefix}trunk"] @ w[f"{prefix}heads/class"]

    def wrong(logits, labels):
        return -np.log(two.softmax(logits))[np.arange(6), labels].mean()

    told = fooled = 0.0
    for d, real, fake in (("a", a, to_a), ("b", b, to_b)):
        r, f = (x @ w[f"disc/{d}"][:, 0] for x in (real, fake))
        told += (two.softplus(-r) + two.softplus(f)).mean()
        fooled += two.softplus(-f).mean()
    s, t = (x @ w["trunk"] @ w["domain"][:, 0] for x in (to_b, b))
    cycle = np.abs(to_b @ w["gen/a"] - a).mean() + np.abs(to_a @ w["gen/b"] - b).mean()
    semantic = sum(
        wrong(classes(after, "source/"), classes(before, "source/").argmax(axis=1))
        for before, after in ((a, to_b), (b, to_a))
    )
    right = np.asarray(two.BATCH["labels/a"])
    wanted = (
        {"adversarial": told, "domain": two.softplus(-s).mean() + two.softplus(t).mean()},
        {"adversarial": fooled, "cycle": cycle, "semantic": semantic},
        {"class": wrong(classes(to_b), right), "domain": two.softplus(-t).mean()},
    )
    for outcome, values in zip((disc, gen, model), wanted, strict=True):
        found = {name: two.value(loss) for name, loss in outcome.losses.items()}
        assert found == pytest.approx(values, rel=1e-4)


def test_the_task_network_starts_from_the_source_s():
    groups = game().init(two.KEY, two.BATCH)
    for name in TRAINED:
        start = TRAINED[name]["params"]["w"]
        np.testing.assert_array_equal(groups[name]["params"]["w"], start)
        np.testing.assert_array_equal(groups[f"source/{name}"]["params"]["w"], start)
    groups["trunk"] = jax.tree.map(lambda x: 2 * x, groups["trunk"])
    images, variables = two.BATCH["images/a"], starting(groups)
    said = {n: f(variables, images, two.CONTEXT) for n, f in game().predict.items()}
    np.testing.assert_allclose(said["class"], 2 * said["source/class"], rtol=1e-5)
    np.testing.assert_allclose(said["to/b"], images @ groups["gen/b"]["params"]["w"], rtol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_turn_moves_its_own_side(number):
    sides = {"disc/a", "disc/b", "domain"}, {"gen/a", "gen/b"}, {"trunk", "heads/class"}
    assert two.moved(game(), number, two.BATCH) == sides[number]


def test_bad_input_is_refused_by_name():
    build = functools.partial(games.cycada, PLAYERS, OPTIMIZERS, domains=two.DOMAINS)
    with pytest.raises(ValueError, match=r"cycada: source lacks the groups \['heads/class'\]"):
        build({"trunk": TRAINED["trunk"]})
    other = {**TRAINED, "trunk": {"params": {"w": jnp.ones((4, 2))}}}
    with pytest.raises(ValueError, match=r"cycada: group 'trunk' has the shapes .*\(4, 3\)"):
        build(other).init(two.KEY, two.BATCH)
    with pytest.raises(ValueError, match="cycada: domains meet in no network's pass"):
        joint = two.DOMAINS._replace(passes="joint")
        games.cycada(PLAYERS, OPTIMIZERS, TRAINED, domains=joint)
    small = games.cycada(PLAYERS._replace(gen=linear(5)), OPTIMIZERS, TRAINED, domains=two.DOMAINS)
    with pytest.raises(ValueError, match=r"gen makes \(5,\), the data has \(4,\)"):
        small.init(two.KEY, two.BATCH)
