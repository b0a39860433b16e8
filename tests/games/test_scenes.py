"""What a GAN may have beside its losses: packing, rows with memory, looking ahead, codes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear
from linear_gans import CONTEXT, KEY, N, linear_gan, played

from gan_mtl.games import (
    Augment,
    Code,
    Contrast,
    Extras,
    Information,
    Latents,
    Players,
    Row,
    Unroll,
    class_task,
    gan,
    gan_rows,
)
from gan_mtl.games.scenes import pack, unpack
from gan_mtl.types import MEMORY, starting
from gan_mtl.update import alternating, variables_of


def test_packing_puts_neighbours_side_by_side():
    images = jnp.arange(2 * 3 * 2 * 2 * 2.0).reshape(6, 2, 2, 2)
    packed = pack(images, 3)
    assert packed.shape == (2, 2, 2, 6)
    expected = [np.concatenate(images[i : i + 3], axis=-1) for i in (0, 3)]
    np.testing.assert_array_equal(packed, np.stack(expected))
    np.testing.assert_array_equal(pack(jnp.arange(8.0).reshape(4, 2), 2)[1], [4, 5, 6, 7])
    with pytest.raises(ValueError, match=r"pack=4 does not divide the 6 examples"):
        pack(images, 4)


def test_a_packed_discriminator_judges_groups():
    game = linear_gan(pack=2)
    groups = game.init(KEY, zoo.batch())
    outcome = played(game, 0, groups)
    assert outcome.losses["adversarial"].values.shape == (N // 2,)
    w = {name: np.asarray(tree["params"]["w"], np.float64) for name, tree in groups.items()}
    images = np.asarray(zoo.batch()["images"], np.float64)
    beside = np.concatenate([images[0::2], images[1::2]], axis=3)  # two channels
    logits = (beside.reshape(N // 2, -1) @ w["trunk"] @ w["disc"]).ravel()
    np.testing.assert_allclose(outcome.metrics["real_logits"].values, logits, rtol=1e-5)


@pytest.mark.parametrize("saddle", [True, False])
def test_looking_ahead_differentiates_through_the_discriminator_s_step(saddle):
    """Against a discriminator step written by hand, and central differences of the result."""
    rate = 0.3
    game = linear_gan(unroll=Unroll(1, optax.sgd(rate), saddle))
    with jax.enable_x64():
        batch = zoo.batch(dtype=jnp.float64)
        groups = jax.tree.map(lambda x: x.astype(float), game.init(KEY, batch))
        variables = starting(groups)

        def total(gen):
            at = variables._replace(params={**variables.params, "gen": gen})
            return game.turns[1].losses(at, batch, CONTEXT).losses["adversarial"].values.mean()

        def by_hand(gen):
            z = zoo.LATENTS.draw(N, CONTEXT.fold("generate").fold("latents"))
            fakes = (z.astype(float) @ gen["w"]).reshape(N, -1)
            reals = batch["images"].reshape(N, -1)

            def judged(w, x):
                return ((x @ w["trunk"]["w"]) @ w["disc"]["w"]).reshape(-1)

            def loss(w):
                values = jax.nn.softplus(-judged(w, reals)) + jax.nn.softplus(judged(w, fakes))
                return values.mean()

            w = {name: variables.params[name] for name in ("trunk", "disc")}
            ahead = jax.tree.map(lambda a, g: a - rate * g, w, jax.grad(loss)(w))
            own = jax.nn.softplus(-judged(ahead, fakes)).mean()
            return -loss(ahead) if saddle else own

        gen = variables.params["gen"]
        np.testing.assert_allclose(total(gen), by_hand(gen), rtol=1e-12)
        found = jax.grad(total)(gen)
        direction = jax.tree.map(jnp.ones_like, gen)
        up, down = (
            total(jax.tree.map(lambda x, d, s=s: x + s * 1e-6 * d, gen, direction)) for s in (1, -1)
        )
        slope = sum(float(x.sum()) for x in jax.tree.leaves(found))
        np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6)
        plain = linear_gan()
        still = plain.turns[1].losses(variables, batch, CONTEXT).losses["adversarial"].values
        assert abs(float(still.mean()) - float(total(gen))) > 1e-4


@pytest.mark.slow
def test_looking_ahead_moves_nothing_but_the_generator():
    game = linear_gan(unroll=Unroll(2, optax.adam(0.1)))
    updater = alternating(game._replace(turns=game.turns[1:], frozen=("trunk", "disc")))
    state = updater.init(KEY, zoo.batch())
    after, _ = updater.update(KEY, state, zoo.batch())
    for group in ("trunk", "disc"):
        np.testing.assert_array_equal(state.params[group]["w"], after.params[group]["w"])
    assert not np.allclose(state.params["gen"]["w"], after.params["gen"]["w"])


def counted(scene, context, memory):
    return scene.real_logits + memory, memory + 1


def test_a_row_remembers_between_steps():
    row = Row("counted", counted, 1.0, memory=lambda: 0)
    updater = alternating(linear_gan(disc_rows=(row,)))
    state = updater.init(KEY, zoo.batch())
    assert state.state["trunk"][MEMORY + "counted"] == 0
    for _ in range(3):
        state, _ = updater.update(KEY, state, zoo.batch())
    assert state.state["trunk"][MEMORY + "counted"] == 3
    assert MEMORY + "counted" not in variables_of(state).of("trunk")  # the network never sees it


def test_what_is_remembered_of_part_of_a_batch_is_refused():
    row = Row("counted", counted, 1.0, memory=lambda: 0)
    updater = alternating(linear_gan(disc_rows=(row,)), accumulate=2)
    with pytest.raises(ValueError, match="counted"):
        updater.update(KEY, updater.init(KEY, zoo.batch()), zoo.batch())


def test_augmentation_is_seen_by_both_players_and_penalties_not_by_tasks():
    seen = []

    def darker(images, context, memory):
        seen.append(images.shape)
        return images * memory

    augment = Augment(darker, lambda: 0.5, lambda memory, logits, context: memory * 0.5)
    game = gan(
        Players(linear(16, shape=(4, 4, 1)), linear(5), linear(None)),
        zoo.LATENTS,
        zoo.adam(),
        tasks=(zoo.class_head(),),
        extras=Extras(augment=augment, disc_rows=(Row("again", lambda s, c: s.disc(s.real), 1.0),)),
    )
    groups = game.init(KEY, zoo.batch())
    outcome = played(game, 0, groups)
    assert len(seen) == 3  # real, fake, and the row's own look; the task takes images as they are
    w = {n: np.asarray(groups[n]["params"]["w"], np.float64) for n in ("trunk", "disc")}
    plain = np.asarray(zoo.batch()["images"], np.float64).reshape(N, -1) @ w["trunk"] @ w["disc"]
    logits = outcome.metrics["real_logits"].values
    np.testing.assert_allclose(logits, 0.5 * plain.ravel(), rtol=1e-5)
    np.testing.assert_allclose(outcome.losses["again"].values, logits, rtol=1e-5)
    assert float(outcome.variables.recall("trunk", "augment")) == 0.25


def test_codes_are_part_of_the_latents_and_read_again():
    code = Code((3,), 1)

    def squared(outputs, codes, code):
        assert code.width == codes.shape[1] == 4
        return jnp.square(outputs - codes).sum(axis=1)

    information = Information(code, linear(4), squared, weight=0.5)
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(None))
    extras = Extras(information=information)
    game = gan(players, Latents(7), zoo.adam(), extras=extras)
    groups = game.init(KEY, zoo.batch())
    codes = code.draw(200, CONTEXT)
    assert codes.shape == (200, 4) and set(np.unique(codes[:, :3])) == {0.0, 1.0}
    assert np.all(np.asarray(codes[:, :3]).sum(axis=1) == 1) and np.abs(codes[:, 3]).max() <= 1
    for turn, moved in ((0, {"trunk", "heads/code"}), (1, {"gen"})):
        rows = game.turns[turn].objectives
        assert rows["information"].entries == dict.fromkeys(moved, 0.5)
        assert played(game, turn, groups).losses["information"].values.shape == (N,)
    with pytest.raises(ValueError, match=r"The code takes 4 of 4 latents"):
        gan(players, Latents(4), zoo.adam(), extras=extras)


def test_latents_are_moved_before_use():
    def uphill(value, z):
        return z + 0.5 * jax.grad(lambda z: value(z).sum())(z)

    still, moved = linear_gan(), linear_gan(move_latents=uphill)
    groups = still.init(KEY, zoo.batch())
    before = played(still, 1, groups).losses["adversarial"].values
    after = played(moved, 1, groups).losses["adversarial"].values
    assert np.all(after < before)  # a linear discriminator likes every moved one better


@pytest.mark.parametrize(
    "options, match",
    [
        ({"extras": Extras(pack=0)}, "pack=0"),
        ({"extras": Extras(pack=2), "tasks": (zoo.class_head(),)}, r"\['class'\] of one example"),
        ({"extras": Extras(unroll=Unroll(0, optax.sgd(1.0)))}, r"unroll\.steps=0"),
        (
            {"extras": Extras(unroll=Unroll(1, optax.sgd(1.0)), top_k=gan_rows.top_k(2))},
            r"unroll\.saddle with top_k",
        ),
        (
            {"extras": Extras(disc_rows=(Row("adversarial", counted, 1.0),))},
            r"\['adversarial'\] occur twice",
        ),
        (
            {"extras": Extras(gen_rows=(gan_rows.mode_seeking(), gan_rows.mode_seeking()))},
            r"\['mode_seeking'\] occur twice",
        ),
        ({"condition": "contrastive", "num_classes": 3}, r"extras\.contrast go together"),
        (
            {"extras": Extras(contrast=Contrast(linear(3), lambda *_: 0))},
            r"extras\.contrast go together",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(options, match):
    with pytest.raises(ValueError, match=match):
        gan(zoo.players(), zoo.LATENTS, zoo.adam(), **options)


def test_a_trunk_may_be_the_whole_discriminator():
    energy = linear(None)
    game = gan(Players(linear(16, shape=(4, 4, 1)), energy), zoo.LATENTS, zoo.adam())
    groups = game.init(KEY, zoo.batch())
    assert set(groups) == {"gen", "trunk"}
    assert played(game, 0, groups).metrics["real_logits"].values.shape == (N,)
    assert game.predict["disc"](starting(groups), zoo.batch()["images"], CONTEXT).shape == (N,)
    many = gan(Players(linear(16, shape=(4, 4, 1)), linear(3)), zoo.LATENTS, zoo.adam())
    with pytest.raises(ValueError, match="one logit an example"):
        many.init(KEY, zoo.batch())


@pytest.mark.slow
def test_networks_of_flax_keep_working_beside_a_memory():
    extras = Extras(disc_rows=(gan_rows.lecam(start=0),))
    updater = alternating(gan(zoo.players(), zoo.LATENTS, zoo.adam(), extras=extras))
    state = updater.init(KEY, zoo.batch())
    assert len(state.state["trunk"]) == 2  # the spectral vectors, and the memory
    after, _ = updater.update(KEY, state, zoo.batch())
    assert float(after.state["trunk"][MEMORY + "lecam"].real) != 0.0


def test_the_multi_class_hinge_takes_the_last_output_for_fake():
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(zoo.CLASSES + 1))
    game = gan(players, zoo.LATENTS, zoo.adam(), condition="multi_hinge", num_classes=zoo.CLASSES)
    groups = game.init(KEY, zoo.batch())
    outcome = played(game, 0, groups)
    w = {n: np.asarray(groups[n]["params"]["w"], np.float64) for n in ("trunk", "disc")}
    images = np.asarray(zoo.batch()["images"], np.float64).reshape(N, -1)
    outputs, labels = images @ w["trunk"] @ w["disc"], np.asarray(zoo.batch()["labels"])
    real = [
        max(0.0, 1 + np.delete(row, y).max() - row[y])
        for row, y in zip(outputs, labels, strict=True)
    ]
    values = np.asarray(outcome.losses["adversarial"].values)
    assert np.all(values >= np.asarray(real) - 1e-5)  # the fakes' half is added
    shown = outputs[:, :-1].max(axis=1) - outputs[:, -1]
    np.testing.assert_allclose(outcome.metrics["real_logits"].values, shown, rtol=1e-4, atol=1e-5)
    fakes = np.asarray(outcome.metrics["fake_logits"].values, np.float64)
    np.testing.assert_allclose(values - real, np.maximum(0, 1 + fakes), rtol=1e-4, atol=1e-5)
    unlabelled = {k: v for k, v in zoo.batch().items() if k != "labels"}
    with pytest.raises(ValueError, match=r"condition='multi_hinge' needs the labels"):
        game.init(KEY, unlabelled)


def counted_lazily(scene, context, memory):
    return scene.real_logits * memory, memory + 1


@pytest.mark.slow
def test_the_memory_of_a_lazy_row_rests_between():
    row = Row("counted", counted_lazily, 1.0, every=3, memory=lambda: 1)
    updater = alternating(linear_gan(disc_rows=(row,)))
    state = updater.init(KEY, zoo.batch())
    kept = []
    for _ in range(7):
        state, _ = updater.update(KEY, state, zoo.batch())
        kept.append(int(state.state["trunk"][MEMORY + "counted"]))
    assert kept == [2, 2, 2, 3, 3, 3, 4]


def test_augmentation_is_of_single_images_not_of_packs():
    def brighter(images, context):
        assert images.shape == (N, 4, 4, 1)
        return images + jnp.arange(float(N))[:, None, None, None]

    game = linear_gan(pack=2, augment=Augment(brighter))
    plain = linear_gan(pack=2)
    groups = game.init(KEY, zoo.batch())
    seen, still = (
        np.asarray(played(g, 0, groups).metrics["real_logits"].values) for g in (game, plain)
    )
    w = {name: np.asarray(groups[name]["params"]["w"], np.float64) for name in ("trunk", "disc")}
    each = np.stack([np.full((4, 4), float(i)) for i in range(N)])
    beside = np.stack([each[0::2], each[1::2]], axis=3).reshape(N // 2, -1)
    np.testing.assert_allclose(seen - still, (beside @ w["trunk"] @ w["disc"]).ravel(), rtol=1e-3)


def test_unpacking_is_the_inverse_of_packing():
    images = jax.random.normal(KEY, (6, 3, 2, 2))
    np.testing.assert_array_equal(unpack(pack(images, 3), 3), images)


def test_the_class_head_sees_all_images_as_they_are():
    """Else it could tell fakes from reals by the augmentation."""
    seen = []
    head = class_task(linear(3, seen=seen), labelled=False, fake_weight=1.0)
    gone = Augment(lambda images, context: 0 * images)
    players = Players(linear(16, shape=(4, 4, 1)), linear(5), linear(None))
    options = {"condition": "auxiliary", "num_classes": 3, "fakes_in_disc": True}
    extras = Extras(augment=gone)
    game = gan(players, zoo.LATENTS, zoo.adam(), tasks=(head,), extras=extras, **options)
    groups = game.init(KEY, zoo.batch())
    seen.clear()
    played(game, 0, groups)
    played(game, 1, groups)
    assert len(seen) == 3
    assert all(float(jnp.abs(features).max()) > 0.1 for (features,) in seen)


def test_the_discriminator_s_turn_differentiates_through_moved_latents():
    """Against central differences of its loss along one direction."""

    def uphill(value, z):
        return z + 0.5 * jax.grad(lambda z: value(z).sum())(z)

    with jax.enable_x64(True):
        batch = zoo.batch(dtype=jnp.float64)
        game = linear_gan(move_latents=uphill)
        groups = jax.tree.map(lambda x: x.astype(float), game.init(KEY, batch))

        def loss(w):
            changed = {**groups, "trunk": {"params": {"w": w}}}
            return (
                game.turns[0]
                .losses(starting(changed), batch, CONTEXT)
                .losses["adversarial"]
                .values.mean()
            )

        at = groups["trunk"]["params"]["w"]
        along = jnp.cos(jnp.arange(at.size, dtype=float)).reshape(at.shape)
        step = 1e-5
        expected = (loss(at + step * along) - loss(at - step * along)) / (2 * step)
        found = (jax.grad(loss)(at) * along).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_augmentation_that_follows_the_logits_refuses_slices():
    game = linear_gan(augment=gan_rows.adaptive_augmentation())
    updater = alternating(game, accumulate=2)
    with pytest.raises(ValueError, match=r"\[.augment.\]"):
        updater.update(KEY, updater.init(KEY, zoo.batch()), zoo.batch())
