"""UNIT: table, the rows by hand, who moves, translations, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_domains as two
from linear import linear

from gan_mtl import games
from gan_mtl.types import starting

PLAYERS = games.CoupledPlayers(linear(3), linear(4), linear(3), linear(2), linear(None))
WEIGHTS = games.UnitWeights(2.0, 3.0, 4.0, 5.0, 6.0)
GENERATORS = ["gen", "gen/a", "gen/b"]


@functools.cache
def game(latent=(2,)):
    encoders = linear(3), linear(2)
    return games.unit(PLAYERS, *encoders, latent, two.SGD, domains=two.DOMAINS, weights=WEIGHTS)


def test_its_table():
    header, lines = two.rows(game())
    judging, coding = ["front/a", "front/b", "trunk", "disc"], ["enc/a", "enc/b", "enc"]
    assert header == ["turn", "objective", *judging, *coding, *GENERATORS]
    none = ["."] * 4
    assert lines == [
        ["disc", "adversarial", *["1"] * 4, *["."] * 6],
        ["gen", "adversarial", *none, *["2"] * 6],
        ["gen", "kl", *none, *["3"] * 3, *["."] * 3],
        ["gen", "reconstruction", *none, *["4"] * 6],
        ["gen", "cycle_kl", *none, *["5"] * 6],
        ["gen", "cycle", *none, *["6"] * 6],
    ]


def without_noise(monkeypatch):
    monkeypatch.setattr("gan_mtl.draws.normal", lambda n, shape, context: jnp.zeros((n, *shape)))


def test_the_rows_by_hand(monkeypatch):
    """With the noise of the codes taken away, so that everything is a product of matrices."""
    without_noise(monkeypatch)
    (disc, gen), w = two.outcomes(game())
    x = {d: np.asarray(two.BATCH[f"images/{d}"]) for d in "ab"}

    def code(d, images):
        return images @ w[f"enc/{d}"] @ w["enc"]

    def image(d, z):
        return z @ w["gen"] @ w[f"gen/{d}"]

    def logit(d, images):
        return images @ w[f"front/{d}"] @ w["trunk"] @ w["disc"][:, 0]

    wanted = dict.fromkeys(("adversarial", "kl", "reconstruction", "cycle_kl", "cycle"), 0.0)
    told = 0.0
    for d, other in ("ab", "ba"):
        z = code(d, x[d])
        across = image(other, z)
        again = code(other, across)
        wanted["kl"] += np.square(z).mean() / 2
        wanted["reconstruction"] += np.abs(image(d, z) - x[d]).mean()
        wanted["cycle_kl"] += np.square(again).mean() / 2
        wanted["cycle"] += np.abs(image(d, again) - x[d]).mean()
        wanted["adversarial"] += two.softplus(-logit(other, across)).mean()
        r, f = logit(d, x[d]), logit(other, across)
        told += two.softplus(-r).mean() + two.softplus(f).mean()
    found = {name: two.value(loss) for name, loss in gen.losses.items()}
    assert found == pytest.approx(wanted, rel=1e-4)
    assert two.value(disc.losses["adversarial"]) == pytest.approx(told, rel=1e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_a_turn_moves_its_own_side(number):
    sides = {"front/a", "front/b", "trunk", "disc"}, {"enc", "enc/a", "enc/b", *GENERATORS}
    assert two.moved(game(), number, two.BATCH) == sides[number]


def test_translations_are_of_mean_codes_and_samples_of_drawn_ones():
    groups = game().init(two.KEY, two.BATCH)
    w = {name: group["params"]["w"] for name, group in groups.items()}
    images, variables = two.BATCH["images/a"], starting(groups)
    for of, to in ("ab", "ba"):
        z = images @ w[f"enc/{of}"] @ w["enc"]
        found = game().predict[f"to/{to}"](variables, images, two.CONTEXT)
        np.testing.assert_allclose(found, z @ w["gen"] @ w[f"gen/{to}"], rtol=1e-4)
    z = game().latents(4, two.CONTEXT)
    assert z.shape == (4, 2)
    made = game().sample(variables, 4, jnp.zeros(4, int), two.CONTEXT)
    np.testing.assert_allclose(made, z @ w["gen"] @ w["gen/a"], rtol=1e-4)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unit: enc gives codes of shape \(2,\), expected .*3,"):
        game((3,)).init(two.KEY, two.BATCH)
    lone = {k: jax.device_get(v) for k, v in two.BATCH.items() if k != "images/b"}
    with pytest.raises(ValueError, match="needs the batch entry 'images/b'"):
        game().init(two.KEY, lone)
