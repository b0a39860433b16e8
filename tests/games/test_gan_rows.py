"""The published rows of a GAN against their formulas, on linear maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from linear import linear
from linear_gans import CONTEXT, KEY, N, linear_gan, played

from gan_mtl import draws, losses, nets, table
from gan_mtl.games import (
    Code,
    Extras,
    Latents,
    Players,
    Row,
    gan,
    gan_rows,
)
from gan_mtl.games.players import ask
from gan_mtl.losses import hinge, per_pixel
from gan_mtl.types import Network, starting
from gan_mtl.update import alternating


def test_only_the_best_fakes_teach():
    game = linear_gan(top_k=gan_rows.top_k(steps_per_epoch=2, gamma=0.5, minimum=0.25))
    groups = game.init(KEY, zoo.batch())
    for step, kept in ((0, 8), (1, 8), (2, 4), (4, 2), (40, 2)):
        loss = played(game, 1, groups, step).losses["adversarial"]
        assert float(loss.mask.sum()) == kept
        chosen = np.asarray(loss.values)[np.asarray(loss.mask) > 0]
        assert chosen.max() <= np.sort(np.asarray(loss.values))[kept - 1] + 1e-6


def test_lecam_sets_in_late_and_forgets_the_start():
    row = gan_rows.lecam(weight=0.3, decay=0.9, start=2)
    game = linear_gan(disc_rows=(row,))
    groups = game.init(KEY, zoo.batch())
    assert "0.3 from step 2" in table.render(game)
    outcome = played(game, 0, groups, step=1)
    real, fake = (np.asarray(outcome.metrics[f"{x}_logits"].values) for x in ("real", "fake"))
    memory = outcome.variables.recall("trunk", "lecam")
    np.testing.assert_allclose([memory.real, memory.fake], [real.mean(), fake.mean()], rtol=1e-5)
    expected = np.maximum(real - fake.mean(), 0) ** 2 + np.maximum(real.mean() - fake, 0) ** 2
    np.testing.assert_allclose(outcome.losses["lecam"].values, expected, rtol=1e-4, atol=1e-6)
    late = played(game, 0, groups, step=2).variables.recall("trunk", "lecam")
    np.testing.assert_allclose(late.real, 0.1 * real.mean(), rtol=1e-4)  # 0.9 of the start's 0


def test_consistency_rows_are_zero_for_the_same_view_and_known_for_a_shift():
    def same(images, context):
        return images

    def brighter(images, context):
        return images + 1.0

    rows = (gan_rows.consistency(same), gan_rows.fake_consistency(brighter))
    game = linear_gan(disc_rows=rows)
    groups = game.init(KEY, zoo.batch())
    losses = played(game, 0, groups).losses
    np.testing.assert_allclose(losses["consistency"].values, 0.0, atol=1e-10)
    w = {n: np.asarray(groups[n]["params"]["w"], np.float64) for n in ("trunk", "disc")}
    shift = (np.ones((1, 16)) @ w["trunk"] @ w["disc"]).item()
    np.testing.assert_allclose(losses["fake_consistency"].values, shift**2, rtol=1e-3)


def test_latent_rows_measure_the_same_move_from_both_sides():
    std = 0.05
    game = linear_gan(
        disc_rows=(gan_rows.latent_consistency(std),), gen_rows=(gan_rows.latent_spread(std),)
    )
    groups = game.init(KEY, zoo.batch())
    w = np.asarray(groups["gen"]["params"]["w"], np.float64)
    spread = played(game, 1, groups).losses["latent_spread"].values
    sizes = std**2 * np.square(w).sum() / 16  # the expected squared distance by pixel
    assert -6 * sizes < float(spread.mean()) < -sizes / 6
    judged = np.asarray(groups["trunk"]["params"]["w"] @ groups["disc"]["params"]["w"], np.float64)
    apart = played(game, 0, groups).losses["latent_consistency"].values
    sizes = 0.05**2 * np.square(w @ judged).sum()  # the expected squared difference of logits
    assert sizes / 6 < float(apart.mean()) < 6 * sizes


def test_an_energy_game_steers_how_much_fakes_count():
    gamma, rate = 0.7, 0.5
    control = gan_rows.energy_control(gamma, rate)
    players = Players(linear(16, shape=(4, 4, 1)), linear(None))
    game = gan(players, zoo.LATENTS, zoo.adam(), adversarial=control)
    groups = game.init(KEY, zoo.batch())
    first = played(game, 0, groups)
    real, fake = (-np.asarray(first.metrics[f"{x}_logits"].values) for x in ("real", "fake"))
    np.testing.assert_allclose(first.losses["adversarial"].values, real, rtol=1e-6)  # k = 0
    k = float(np.clip(rate * (gamma * real.mean() - fake.mean()), 0, 1))
    assert float(first.variables.recall("trunk", "adversarial").k) == pytest.approx(k, rel=1e-5)
    later = first.variables.remember("trunk", "adversarial", type(control.memory())(jnp.array(0.4)))
    again = game.turns[0].losses(later, zoo.batch(), CONTEXT).losses["adversarial"].values
    np.testing.assert_allclose(again, real - 0.4 * fake, rtol=1e-4, atol=1e-6)
    updater = alternating(game, accumulate=2)
    with pytest.raises(ValueError, match="adversarial"):
        updater.update(KEY, updater.init(KEY, zoo.batch()), zoo.batch())


def test_information_adds_what_each_code_costs():
    code = Code((3, 2), 1)
    row = gan_rows.information(code, linear(code.width))
    draw = np.random.default_rng(0)
    outputs = draw.normal(size=(4, 6))
    codes = np.concatenate([np.eye(3)[[0, 2, 1, 1]], np.eye(2)[[1, 0, 0, 1]], np.ones((4, 1))], 1)

    def minus_log(logits, hot):
        return np.log(np.exp(logits).sum(axis=1)) - (logits * hot).sum(axis=1)

    expected = minus_log(outputs[:, :3], codes[:, :3]) + minus_log(outputs[:, 3:5], codes[:, 3:5])
    expected += 0.5 * np.log(2 * np.pi) + 0.5 * (outputs[:, 5] - 1) ** 2
    np.testing.assert_allclose(row.loss(jnp.asarray(outputs), codes, code), expected, rtol=1e-5)
    plain = gan_rows.information(Code((3,), 0), linear(3))
    found = plain.loss(jnp.asarray(outputs[:, :3]), jnp.asarray(codes[:, :3]), Code((3,), 0))
    np.testing.assert_allclose(found, minus_log(outputs[:, :3], codes[:, :3]), rtol=1e-5)


def style_pair():
    """A generator of two linear maps, the second of two styles, and the maps by themselves."""
    maps = linear(3), linear(16, shape=(4, 4, 1))

    def twice(w):
        return jnp.repeat(w[:, None], 2, axis=1)

    def init(key, z):
        keys = jax.random.split(key)
        first = maps[0].init(keys[0], z)["params"]
        hidden = twice(z @ first["w"])
        return {"params": {"mapping": first, "synthesis": maps[1].init(keys[1], hidden)["params"]}}

    def apply(variables, z, context):
        params = variables["params"]
        w, _ = maps[0].apply({"params": params["mapping"]}, z, context=context)
        return maps[1].apply({"params": params["synthesis"]}, twice(w), context=context)

    return Network(init, apply), *maps


def test_path_length_looks_at_the_generator_s_second_half():
    gen, mapping, synthesis = style_pair()
    row = gan_rows.path_length(mapping, synthesis, 2, every=1)
    players = Players(gen, linear(5), linear(None))
    game = gan(players, zoo.LATENTS, zoo.adam(), extras=Extras(gen_rows=(row,)))
    groups = game.init(KEY, zoo.batch())
    outcome = played(game, 1, groups)
    w = np.asarray(groups["gen"]["params"]["synthesis"]["w"], np.float64)  # [6, 16]
    context = CONTEXT.fold("path_length")
    y = np.asarray(draws.normal(N // 2, (4, 4, 1), context.fold("path_length")), np.float64)
    slopes = (y.reshape(N // 2, 16) / 4 @ w.T).reshape(N // 2, 2, 3)
    lengths = np.sqrt(np.square(slopes).sum(axis=2).mean(axis=1))
    average = 0.01 * lengths.mean()
    expected = (lengths - average) ** 2
    np.testing.assert_allclose(outcome.losses["path_length"].values, expected, rtol=1e-4)
    kept = outcome.variables.recall("gen", "path_length")
    np.testing.assert_allclose(kept.a, average, rtol=1e-5)


def test_pixels_of_a_mixed_image_are_to_be_judged_as_its_parts():
    """Of a linear map per pixel the judgement of a mixture is the mixture of the judgements."""
    players = Players(linear(16, shape=(4, 4, 1)), linear(17), None)
    row = gan_rows.cut_mix_consistency()
    game = gan(
        players,
        zoo.LATENTS,
        zoo.adam(),
        adversarial=per_pixel(hinge, weight=0.5),
        extras=Extras(disc_rows=(row,), top_k=gan_rows.top_k(1, gamma=0.5, minimum=0.5)),
    )
    groups = game.init(KEY, zoo.batch())
    assert played(game, 0, groups).metrics["real_logits"].values.shape == (N,)
    images = zoo.batch()["images"]
    assert game.predict["disc"](starting(groups), images, CONTEXT).shape == (N,)
    made = played(game, 1, groups, step=1).losses["adversarial"]
    assert made.values.shape == (N,) and float(made.mask.sum()) == N // 2
    assert float(played(game, 0, groups).losses["cut_mix"].values.mean()) > 0.01
    pixelwise = {"w": jnp.concatenate([jnp.ones((16, 1)), 3 * jnp.eye(16)], axis=1)}
    groups["trunk"] = {"params": pixelwise}
    losses = played(game, 0, groups).losses
    np.testing.assert_allclose(losses["cut_mix"].values, 0.0, atol=1e-10)


def test_mode_seeking_compares_latents_of_the_game_s_law():
    """Of U(4, 5) both latents are within 1 of each other: of a normal one they would not be."""
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(None))
    extras = Extras(gen_rows=(Row("seen", lambda scene, context: scene.draw("other"), 1.0),))
    game = gan(players, Latents(4, "uniform", 4.0, 5.0), zoo.adam(), extras=extras)
    drawn = played(game, 1, game.init(KEY, zoo.batch())).losses["seen"].values
    assert drawn.shape == (N, 4) and 4 <= float(drawn.min()) < float(drawn.max()) < 5
    code = Code((3,), 1)
    extras = extras._replace(information=gan_rows.information(code, linear(code.width)))
    game = gan(players, Latents(6), zoo.adam(), extras=extras)
    drawn = played(game, 1, game.init(KEY, zoo.batch())).losses["seen"].values
    np.testing.assert_array_equal(np.sort(drawn[:, -4:-1]), np.tile([0.0, 0.0, 1.0], (N, 1)))


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty", "dragan"])
def test_penalties_by_name_are_those_of_the_loss(name):
    penalty = getattr(gan_rows, name)(10.0)
    assert penalty.name == name and penalty.weight == (5.0 if name in ("r1", "r2") else 10.0)
    real, fake = jax.random.normal(KEY, (2, 3, 4, 4, 1))

    def disc(x):
        return jnp.sin(x).sum(axis=(1, 2, 3))

    expected = {
        "r1": lambda: losses.r1(disc, real),
        "r2": lambda: losses.r2(disc, fake),
        "gradient_penalty": lambda: losses.gradient_penalty(disc, real, fake, CONTEXT),
        "dragan": lambda: losses.dragan(disc, real, CONTEXT),
    }[name]()
    np.testing.assert_allclose(penalty.function(disc, real, fake, CONTEXT), expected, rtol=1e-6)


@pytest.mark.parametrize("row", ["fake_consistency", "latent_consistency"])
def test_fakes_are_judged_as_what_they_were_asked_for(row):
    """The same view, and latents that stay: nothing may differ, under a projection either."""

    def same(images, context):
        return images

    given = {
        "fake_consistency": gan_rows.fake_consistency(same),
        "latent_consistency": gan_rows.latent_consistency(0.0),
    }[row]
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(None, classes=3))
    game = gan(
        players,
        zoo.LATENTS,
        zoo.adam(),
        condition="projection",
        num_classes=3,
        penalties=(gan_rows.r2(2.0),),
        extras=Extras(disc_rows=(given,)),
    )
    groups = game.init(KEY, zoo.batch())
    losses_of = played(game, 0, groups).losses
    np.testing.assert_allclose(losses_of[row].values, 0.0, atol=1e-9)
    w, emb = (np.asarray(groups["disc"]["params"][x], np.float64) for x in ("w", "emb"))
    trunk = np.asarray(groups["trunk"]["params"]["w"], np.float64)
    of_class = [np.square(trunk @ (w[:, 0] + one)).sum() for one in emb]
    found = np.asarray(losses_of["r2"].values)
    wanted = np.asarray(ask(3, N, CONTEXT))
    np.testing.assert_allclose(found, np.asarray(of_class)[wanted], rtol=1e-4)


def test_path_length_takes_a_whole_share_of_the_examples():
    _, mapping, synthesis = style_pair()
    row = gan_rows.path_length(mapping, synthesis, 2, every=1, shrink=3)
    gen, *_ = style_pair()
    players = Players(gen, linear(5), linear(None))
    game = gan(players, zoo.LATENTS, zoo.adam(), extras=Extras(gen_rows=(row,)))
    with pytest.raises(ValueError, match="shrink=3 does not divide the 8 examples"):
        played(game, 1, game.init(KEY, zoo.batch()))


def test_codes_of_an_energy_are_pulled_apart():
    encoder = nets.MLPTrunk((3,), jnp.asarray)
    autoencoder = nets.Autoencoder(encoder, nets.MLPGenerator((), (4, 4, 1), output="none"))
    row = gan_rows.pull_away(nets.from_linen(encoder))
    game = gan(
        Players(linear(16, shape=(4, 4, 1)), nets.from_linen(nets.Energy(autoencoder)), None),
        zoo.LATENTS,
        zoo.adam(),
        adversarial=losses.energy_based(1.0),
        extras=Extras(gen_rows=(row,)),
    )
    groups = game.init(KEY, zoo.batch())
    found = played(game, 1, groups).losses["pull_away"].values
    z = np.asarray(zoo.LATENTS.draw(N, CONTEXT.fold("generate").fold("latents")), np.float64)
    layer = groups["trunk"]["params"]["autoencoder"]["encoder"]["Dense_0"]
    images = z @ np.asarray(groups["gen"]["params"]["w"], np.float64)
    codes = images @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    expected = (np.square(unit @ unit.T).sum() - N) / (N * (N - 1))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_only_the_fakes_of_low_energy_teach():
    """An energy is low for what looks real, so the best fakes are those of the least energy."""
    players = Players(linear(16, shape=(4, 4, 1)), linear(None))
    top = gan_rows.top_k(1, gamma=0.25, minimum=0.25)
    game = gan(
        players,
        zoo.LATENTS,
        zoo.adam(),
        adversarial=losses.energy_based(1.0),
        extras=Extras(top_k=top),
    )
    loss = played(game, 1, game.init(KEY, zoo.batch()), step=1).losses["adversarial"]
    kept = np.asarray(loss.values)[np.asarray(loss.mask) > 0]
    np.testing.assert_allclose(np.sort(kept), np.sort(loss.values)[:2], rtol=1e-6)
