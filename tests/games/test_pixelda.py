"""PixelDA: table, both turns by hand, latents, who moves, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games
from gan_mtl.types import starting

PLAYERS = games.PixeldaPlayers(linear(4), linear(None), linear(3), linear(3))


def _first_two(images):
    return jnp.ones_like(images).at[:, 2:].set(0.0)


@functools.cache
def game(latents=None, **options):
    given = {"alpha": 0.5, "beta": 2.0, "gamma": 3.0, "foreground": _first_two, **options}
    return games.pixelda(PLAYERS, latents, two.SGD, domains=two.DOMAINS, **given)


def test_its_table():
    header, lines = two.rows(game())
    assert header == ["turn", "objective", "disc", "trunk", "heads/class", "gen"]
    assert lines == [
        ["disc", "adversarial", "0.5", ".", ".", "."],
        ["disc", "class", ".", "2", "2", "."],
        ["disc", "class_fake", ".", "2", "2", "."],
        ["gen", "adversarial", ".", ".", ".", "0.5"],
        ["gen", "class_fake", ".", ".", ".", "2"],
        ["gen", "content", ".", ".", ".", "3"],
    ]
    assert len(two.rows(game(gamma=0.0, foreground=None))[1]) == 5


def test_both_turns_by_hand():
    (disc, gen), w = two.outcomes(game())
    source, target = (np.asarray(two.BATCH[f"images/{d}"]) for d in "ab")
    labels = np.asarray(two.BATCH["labels/a"])
    fake = source @ w["gen"]

    def wrong(images):
        said = np.log(two.softmax(images @ w["trunk"] @ w["heads/class"]))
        return -said[np.arange(6), labels].mean()

    r, f = (x @ w["disc"][:, 0] for x in (target, fake))
    told = (two.softplus(-r) + two.softplus(f)).mean()
    d = (source - fake)[:, :2]  # the foreground; k counts all four pixels
    content = (np.square(d).sum(axis=1) / 4 - np.square(d.sum(axis=1)) / 16).mean()
    wanted = (
        {"adversarial": told, "class": wrong(source), "class_fake": wrong(fake)},
        {"adversarial": two.softplus(-f).mean(), "class_fake": wrong(fake), "content": content},
    )
    for outcome, values in zip((disc, gen), wanted, strict=True):
        found = {name: two.value(loss) for name, loss in outcome.losses.items()}
        assert found == pytest.approx(values, rel=1e-4)
    right = ((fake @ w["trunk"] @ w["heads/class"]).argmax(axis=1) == labels).mean()
    assert two.value(disc.metrics["class_fake_accuracy"]) == pytest.approx(right)


def test_latents_repaint_an_image_in_many_ways():
    """The generator is one matrix over (z, x), and every image draws a z by the context's key."""
    source = two.BATCH["images/a"]
    others = [two.CONTEXT, two.CONTEXT._replace(key=jax.random.key(6))]
    played = game(games.Latents(2))
    groups = played.init(two.KEY, two.BATCH)
    w = np.asarray(groups["gen"]["params"]["w"], float)
    made = [np.asarray(played.predict["to/b"](starting(groups), source, c)) for c in others]
    for painted, context in zip(made, others, strict=True):
        key = context.fold("latents").key
        z = np.stack([jax.random.normal(jax.random.fold_in(key, i), (2,)) for i in range(6)])
        wanted = z @ w[:2] + np.asarray(source, float) @ w[2:]
        np.testing.assert_allclose(painted, wanted, atol=1e-5)
    assert np.abs(made[0] - made[1]).max(axis=1).min() > 0.1
    plain = starting(game().init(two.KEY, two.BATCH))
    one, other = (game().predict["to/b"](plain, source, context) for context in others)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("number", [0, 1])
def test_a_turn_moves_its_own_side(number):
    assert (
        two.moved(game(), number, two.BATCH) == ({"disc", "trunk", "heads/class"}, {"gen"})[number]
    )


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="foreground is asked for nothing: give gamma a weight"):
        game(gamma=0.0)
    joint = two.DOMAINS._replace(passes="joint")
    with pytest.raises(ValueError, match="pixelda: domains meet in no network's pass"):
        games.pixelda(PLAYERS, None, two.SGD, domains=joint)
    other = games.pixelda(PLAYERS._replace(gen=linear(5)), None, two.SGD, domains=two.DOMAINS)
    with pytest.raises(ValueError, match=r"players.gen makes \(5,\), the data has \(4,\)"):
        other.init(two.KEY, two.BATCH)
