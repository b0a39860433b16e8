"""CoGAN: table, both turns by hand on linear networks, pairs, who moves, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games, losses
from gan_mtl.types import starting

LATENTS = games.Latents(2)
PLAYERS = games.CoupledPlayers(linear(3), linear(4), linear(3), linear(2), linear(None))
TASK = two.CLASS._replace(weight=10.0)


@functools.cache
def game(features=0.01, passes="separate"):
    domains = two.DOMAINS._replace(passes=passes)
    options = {"domains": domains, "tasks": (TASK,), "features": features}
    return games.cogan(PLAYERS, LATENTS, two.SGD, **options)


def test_its_table():
    header, lines = two.rows(game())
    judging = ["front/a", "front/b", "trunk", "disc", "heads/class"]
    assert header == ["turn", "objective", *judging, "gen", "gen/a", "gen/b"]
    assert lines == [
        ["disc", "adversarial", "1", "1", "1", "1", ".", ".", ".", "."],
        ["disc", "class", "10", ".", "10", ".", "10", ".", ".", "."],
        ["disc", "features", "0.01", "0.01", "0.01", ".", ".", ".", ".", "."],
        ["gen", "adversarial", ".", ".", ".", ".", ".", "1", "1", "1"],
    ]
    assert [line[1] for line in two.rows(game(features=0.0))[1]].count("features") == 0


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_both_turns_by_hand(passes):
    (disc, gen), w = two.outcomes(game(passes=passes))
    z = np.asarray(game().latents(6, two.CONTEXT))
    seen, told, fooled = {}, 0.0, 0.0
    for d in "ab":
        fake = z @ w["gen"] @ w[f"gen/{d}"]
        real, fake = (
            x @ w[f"front/{d}"] @ w["trunk"] for x in (np.asarray(two.BATCH[f"images/{d}"]), fake)
        )
        r, f = (x @ w["disc"][:, 0] for x in (real, fake))
        told += (two.softplus(-r) + two.softplus(f)).mean()
        fooled += two.softplus(-f).mean()
        seen[d] = real, fake
    apart = np.square(seen["a"][1] - seen["b"][1]).sum(axis=1).mean()
    said = np.log(two.softmax(seen["a"][0] @ w["heads/class"]))
    wrong = -said[np.arange(6), np.asarray(two.BATCH["labels/a"])].mean()
    found = {name: two.value(loss) for name, loss in disc.losses.items()}
    wanted = {"adversarial": told, "class": wrong, "features": apart}
    assert found == pytest.approx(wanted, rel=1e-4)
    assert two.value(gen.losses["adversarial"]) == pytest.approx(fooled, rel=1e-4)


def test_one_latent_makes_a_pair():
    groups = game().init(two.KEY, two.BATCH)
    variables, z = starting(groups), game().latents(4, two.CONTEXT)
    a, b = (game().generate(variables, z, jnp.full(4, i), two.CONTEXT) for i in (0, 1))
    hidden = z @ groups["gen"]["params"]["w"]
    np.testing.assert_allclose(a, hidden @ groups["gen/a"]["params"]["w"], rtol=1e-5)
    np.testing.assert_allclose(b, hidden @ groups["gen/b"]["params"]["w"], rtol=1e-5)
    turn = game().sample(variables, 4, None, two.CONTEXT)
    np.testing.assert_array_equal(turn, jnp.stack([a[0], b[1], a[2], b[3]]))


def test_target_images_go_through_their_own_first_layers():
    groups = game().init(two.KEY, two.BATCH)
    groups["front/b"] = jax.tree.map(lambda x: 2 * x, groups["front/a"])
    images, variables = two.BATCH["images/b"], starting(groups)
    said = {n: f(variables, images, two.CONTEXT) for n, f in game().predict.items()}
    np.testing.assert_allclose(said["class"], 2 * said["source/class"], rtol=1e-5)


def test_few_labels_of_the_target_go_through_its_first_layers():
    few = games.labelled(TASK)._replace(source="labelled_images/b", targets="labelled_labels/b")
    few = few._replace(name="few", asks="class")
    build = functools.partial(games.cogan, PLAYERS, LATENTS, two.SGD, domains=two.DOMAINS)
    batch = {
        **two.BATCH,
        "labelled_images/b": 3 + two.BATCH["images/b"][:2],
        "labelled_labels/b": two.BATCH["labels/a"][:2],
    }
    both = build(tasks=(TASK, few))
    (disc, _), w = two.outcomes(both, batch)
    hidden = np.asarray(batch["labelled_images/b"]) @ w["front/b"] @ w["trunk"]
    said = np.log(two.softmax(hidden @ w["heads/class"]))
    wrong = -said[np.arange(2), np.asarray(batch["labelled_labels/b"])].mean()
    assert two.value(disc.losses["few"]) == pytest.approx(wrong, rel=1e-4)
    _, lines = two.rows(both)
    row = next(line for line in lines if line[1] == "few")
    assert row[2:7] == [".", "10", "10", ".", "10"]  # front/a, front/b, trunk, disc, the head


@pytest.mark.parametrize("number", [0, 1])
def test_a_turn_moves_its_own_side(number):
    judging = {"front/a", "front/b", "trunk", "disc", "heads/class"}
    assert two.moved(game(), number, two.BATCH) == (judging, {"gen", "gen/a", "gen/b"})[number]


def test_bad_input_is_refused_by_name():
    build = functools.partial(games.cogan, PLAYERS, LATENTS, two.SGD, domains=two.DOMAINS)
    with pytest.raises(ValueError, match="cogan: task 'class' must look at the images of a domain"):
        build(tasks=(TASK._replace(source="images"),))
    with pytest.raises(ValueError, match=r"cogan: the pair must be .* without batch means"):
        build(adversarial=losses.relativistic_average())
    with pytest.raises(ValueError, match="as many examples of both domains, got 6 of 'a' and 4"):
        game().init(two.KEY, two.batch(6, 4))
    other = games.cogan(PLAYERS._replace(gen_out=linear(5)), LATENTS, two.SGD, domains=two.DOMAINS)
    with pytest.raises(ValueError, match=r"gen_out makes \(5,\), the data has \(4,\)"):
        other.init(two.KEY, two.BATCH)
