"""The GAN family: rows from raw numbers, tables that move what they say, bad calls named."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear

from gan_mtl import draws, nets, parallel, table
from gan_mtl.games import Optimizers, Penalty, Players, class_task, gan, rotation_task
from gan_mtl.losses import gradient_penalty, hinge, r1, relativistic_average
from gan_mtl.types import Context, Variables, starting
from gan_mtl.update import alternating

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))
N, WIDTH = 8, 5
LABELS = np.array([2, -1, 0, 1, -1, -1, 2, -1], np.int32)
IMAGES = np.random.default_rng(0).normal(size=(2 * N, 4, 4, 1))


def linear_players(**others):
    options = {"gen": linear(16, shape=(4, 4, 1)), "trunk": linear(WIDTH), "disc": linear(None)}
    return Players(**{**options, **others})


def sgd(rate=0.1):
    return Optimizers(optax.sgd(rate), optax.sgd(rate))


def numbers(variables):
    """The weights in float64, and the way of images to features."""
    w = {g: {k: np.asarray(x, np.float64) for k, x in p.items()} for g, p in variables.items()}
    return (
        w,
        lambda images: np.asarray(images, np.float64).reshape(len(images), -1) @ (w["trunk"]["w"]),
    )


def made(w, context, wanted=None):
    """The fakes of a turn, from its draws."""
    z = np.asarray(zoo.LATENTS.draw(N, context.fold("generate").fold("latents")), np.float64)
    inputs = z if wanted is None else np.concatenate([z, np.eye(zoo.CLASSES)[wanted]], axis=1)
    return (inputs @ w["gen"]["w"]).reshape(N, 4, 4, 1)


def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


def turned(images, context):
    """Quarter turns, by NumPy, as they are drawn for the rotation task."""
    k = np.asarray(draws.integers(N, 4, context.fold("rotation").fold("rotation")))
    return np.stack([np.rot90(x, i) for x, i in zip(images, k, strict=True)]), k


def softplus(x):
    return np.logaddexp(0, x)


def auxiliary(seen=None, **options):
    """AC-GAN with a rotation head, linear networks."""
    return gan(
        linear_players(gen=linear(16, shape=(4, 4, 1), seen=seen)),
        zoo.LATENTS,
        sgd(),
        tasks=(
            class_task(linear(zoo.CLASSES), labelled=False, fake_weight=1.0, weight=0.7),
            rotation_task(linear(4), fake_weight=0.2),
        ),
        condition="auxiliary",
        num_classes=zoo.CLASSES,
        fakes_in_disc=True,
        **options,
    )


def start_of(game, batch):
    start = starting(game.init(KEY, batch))
    return (start, *numbers(start.params))


def small_batch(labels=LABELS):
    return {"images": jnp.asarray(IMAGES[:N], jnp.float32), "labels": jnp.asarray(labels)}


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def auxiliary_turn(number, batch):
    """A turn's losses, the start's numbers and features, and what the generator was handed."""
    seen = []
    game = auxiliary(seen)
    start, w, see = start_of(game, batch)
    seen.clear()
    found = game.turns[number].losses(start, batch, CONTEXT).losses
    ((_, condition),) = seen
    return found, w, see, np.asarray(condition).argmax(axis=1)


def test_every_row_of_the_discriminator_s_turn_from_raw_numbers():
    batch = small_batch()
    found, w, see, wanted = auxiliary_turn(0, batch)
    assert set(wanted) == {0, 1, 2}
    real, fake = see(batch["images"]), see(made(w, CONTEXT, wanted))
    disc, head = w["disc"]["w"][:, 0], w["heads/class"]["w"]
    close(found["adversarial"].values, softplus(-real @ disc) + softplus(fake @ disc))
    close(found["class_fake"].values, cross_entropy(fake @ head, wanted))
    assert found["class_fake"].mask is None
    visible = LABELS >= 0
    np.testing.assert_array_equal(found["class"].mask, visible)
    close(found["class"].values, np.where(visible, cross_entropy(real @ head, LABELS), 0.0))
    images, k = turned(IMAGES[:N], CONTEXT)
    close(found["rotation"].values, cross_entropy(see(images) @ w["heads/rotation"]["w"], k))


def test_every_row_of_the_generator_s_turn_from_raw_numbers():
    found, w, see, wanted = auxiliary_turn(1, small_batch())
    fakes = made(w, CONTEXT, wanted)
    close(found["adversarial"].values, softplus(-see(fakes) @ w["disc"]["w"][:, 0]))
    close(found["class"].values, cross_entropy(see(fakes) @ w["heads/class"]["w"], wanted))
    images, k = turned(fakes, CONTEXT)
    assert len(set(k)) > 1
    close(found["rotation"].values, cross_entropy(see(images) @ w["heads/rotation"]["w"], k))


def test_the_class_loss_of_ac_gan_is_the_sum_of_two_means_however_few_labels():
    """Odena et al. 2017, equation 3, and its gradient in the head; 2 of 8 labels visible."""
    labels = np.where(np.arange(N) < 2, np.abs(LABELS), -1)
    game, batch = auxiliary(), small_batch(labels)
    entries = {turn.name: turn.objectives for turn in game.turns}
    assert entries["disc"]["class_fake"] == entries["disc"]["class"]
    updater = alternating(game)
    state = updater.init(KEY, batch)
    after, metrics = updater.update(KEY, state, batch)
    w, see = numbers(state.params)
    context = Context(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), state.step)
    wanted = np.asarray(draws.integers(N, zoo.CLASSES, context.fold("labels")))
    head, real, fake = w["heads/class"]["w"], see(IMAGES[:2]), see(made(w, context, wanted))
    close(metrics["disc/class"], cross_entropy(real @ head, labels[:2]).mean())
    close(metrics["disc/class_fake"], cross_entropy(fake @ head, wanted).mean())

    def gradient(h, y):
        p = np.exp(h @ head)
        return h.T @ (p / p.sum(axis=1, keepdims=True) - np.eye(zoo.CLASSES)[y]) / len(y)

    slope = 0.7 * (gradient(real, labels[:2]) + gradient(fake, wanted))
    close(after.params["heads/class"]["w"], head - 0.1 * slope)


def test_projected_images_are_judged_with_their_own_labels():
    """Reals with theirs, fakes with what was asked for, in both turns."""
    seen, labels = [], np.arange(N) % zoo.CLASSES
    game = gan(
        linear_players(
            gen=linear(16, shape=(4, 4, 1), seen=seen), disc=linear(None, classes=zoo.CLASSES)
        ),
        zoo.LATENTS,
        sgd(),
        adversarial=hinge,
        condition="projection",
        num_classes=zoo.CLASSES,
    )
    batch = small_batch(labels)
    start, w, see = start_of(game, batch)
    seen.clear()
    disc, gen = (turn.losses(start, batch, CONTEXT) for turn in game.turns)
    wanted = np.asarray(seen[0][1]).argmax(axis=1)
    assert set(wanted) == {0, 1, 2} and not np.array_equal(wanted, labels)

    def judge(hidden, y):
        return hidden @ w["disc"]["w"][:, 0] + (w["disc"]["emb"][y] * hidden).sum(axis=1)

    real, fake = judge(see(IMAGES[:N]), labels), judge(see(made(w, CONTEXT, wanted)), wanted)
    close(disc.metrics["real_logits"].values, real)
    close(disc.metrics["fake_logits"].values, fake)
    expected = np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)
    close(disc.losses["adversarial"].values, expected)
    close(gen.losses["adversarial"].values, -fake)


@pytest.mark.parametrize(("mode", "devices"), [("jit", 4), ("pmap", 4)])
def test_relativistic_average_takes_its_means_over_all_devices(mode, devices):
    """Four devices, and one, in float64 after three steps; the means of two examples differ."""
    with jax.enable_x64(True):
        players = linear_players()
        game = gan(players, zoo.LATENTS, sgd(), adversarial=relativistic_average())
        updater, batch = alternating(game), {"images": IMAGES[:N]}
        start = jax.device_get(jax.jit(updater.init)(KEY, batch))
        found = []
        for choice in ({"num_devices": 1}, {"mode": mode, "num_devices": devices}):
            compiled = parallel.compile_update(updater, steps_per_call=1, **choice)
            state, seen = compiled.join([start]), []
            for i in range(3):
                key = jax.random.fold_in(KEY, i)
                state, metrics = compiled.update(i, key, state, compiled.put(batch))
                seen.append(jax.device_get(metrics))
            found.append((jax.device_get(compiled.split(state)[0].params), seen))
        for a, b in zip(*map(jax.tree.leaves, found), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def outcome(game, turn, batch=None):
    batch = batch or zoo.batch()
    variables = starting(game.init(KEY, batch))
    return variables, game.turns[turn].losses(variables, batch, CONTEXT)


def test_the_discriminator_s_loss_is_the_adversarial_one_of_its_logits():
    _, found = outcome(zoo.game("unconditional"), 0)
    real, fake = found.metrics["real_logits"].values, found.metrics["fake_logits"].values
    expected = np.logaddexp(0, -np.asarray(real)) + np.logaddexp(0, np.asarray(fake))
    np.testing.assert_allclose(found.losses["adversarial"].values, expected, rtol=1e-6)


def test_the_discriminator_s_turn_does_not_reach_the_generator():
    game, batch = zoo.game("ac_gan"), zoo.batch()
    start = starting(game.init(KEY, batch))

    def total(gen):
        variables = Variables({**start.params, "gen": gen}, start.state)
        losses = game.turns[0].losses(variables, batch, CONTEXT).losses
        return sum(loss.values.sum() for loss in losses.values())

    grads = jax.tree.leaves(jax.grad(total)(start.params["gen"]))
    assert all(float(jnp.abs(g).max()) == 0.0 for g in grads)


def test_a_shared_block_is_one_group_in_two_roles_and_its_owner_moves_it():
    game, batch = zoo.game("shared_block"), zoo.batch()
    assert "shared@disc" in table.entries(game.turns[0])
    assert "shared@gen" not in table.entries(game.turns[1])
    gen_turn = game._replace(
        turns=game.turns[1:], frozen=("shared", "trunk", "disc", "heads/rotation")
    )
    updater = alternating(gen_turn)
    state = updater.init(KEY, batch)
    after, _ = jax.jit(updater.update)(KEY, state, batch)
    before, now = jax.tree.leaves(state.params["shared"]), jax.tree.leaves(after.params["shared"])
    assert all(np.array_equal(a, b) for a, b in zip(before, now, strict=True))


def test_the_generator_is_differentiated_through_its_own_use_of_a_shared_block_only():
    """With owner "gen" the discriminator's pass through the block must not add to its gradient."""
    options = dict(disc=zoo.linen(nets.Head()), middle=zoo.linen(nets.MLPTrunk((6,))))
    players = Players(
        gen=zoo.linen(nets.MLPTrunk((6,))),
        trunk=zoo.linen(nets.MLPTrunk((6,))),
        gen_out=zoo.linen(nets.MLPGenerator((), (4, 4, 1), output="tanh")),
        **options,
    )
    game, batch = gan(players, zoo.LATENTS, zoo.adam(), owner="gen"), zoo.batch()
    start = starting(game.init(KEY, batch))

    def total(at_gen, at_disc):
        params = {**start.params, "shared@gen": at_gen, "shared@disc": at_disc}
        found = game.turns[1].losses(Variables(params, start.state), batch, CONTEXT)
        return found.losses["adversarial"].values.mean()

    shared = start.params["shared"]
    through_gen = jax.grad(total, 0)(shared, shared)
    through_disc = jax.grad(total, 1)(shared, shared)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(through_disc)) > 0
    sgd = game.turns[1]._replace(optimizer=optax.sgd(1.0))
    updater = alternating(game._replace(turns=(sgd,), frozen=("trunk", "disc")))
    state = updater.init(KEY, batch)._replace(params=start.params, state=start.state)
    key = jax.random.key(9)
    after, _ = updater.update(key, state, batch)
    inner = Context(jax.random.fold_in(jax.random.fold_in(key, 0), 0), state.step)

    def oracle(at_gen):
        params = {**start.params, "shared@gen": at_gen, "shared@disc": shared}
        found = sgd.losses(Variables(params, start.state), batch, inner)
        return found.losses["adversarial"].values.mean()

    expected = jax.grad(oracle)(shared)
    moved = jax.tree.map(lambda a, b: a - b, shared, after.params["shared"])
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert jax.tree.structure(through_gen) == jax.tree.structure(expected)


def test_both_turns_draw_their_own_latents_and_labels():
    """Three passes of one update: two repeats of the discriminator's turn, one of the other."""
    seen, batch = [], {"images": IMAGES.astype(np.float32), "labels": np.tile(LABELS, 2)}
    updater = alternating(auxiliary(seen, disc_repeats=2))
    state = updater.init(KEY, batch)
    seen.clear()
    updater.update(KEY, state, batch)
    latents, conditions = (np.stack(x) for x in zip(*seen, strict=True))
    assert latents.shape == (3, N, 4) and conditions.shape == (3, N, zoo.CLASSES)
    assert len(np.unique(latents.round(5))) == latents.size
    assert len({x.tobytes() for x in conditions}) == 3
    seen.clear()
    updater.update(jax.random.key(1), state, batch)
    assert not np.isin(latents.round(5), np.stack([z for z, _ in seen]).round(5)).any()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"condition": "label"}, "condition='label'"),
        ({"condition": "projection"}, "num_classes=None: .* give both or neither"),
        ({"num_classes": 3}, "'none' with num_classes=3"),
        ({"condition": "auxiliary", "num_classes": 3}, "task named 'class'"),
        (
            {"condition": "auxiliary", "num_classes": 3, "tasks": (zoo.class_head(),)},
            r"'class' has fake_weight=0, .*class_task\(\.\.\., fake_weight=1\.0\)",
        ),
        ({"fakes_in_disc": True}, "fakes_in_disc"),
        ({"tasks": (zoo.class_head(fake_weight=1.0),)}, "'class' has a fake_weight"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(options, match):
    with pytest.raises(ValueError, match=match):
        gan(zoo.players(), zoo.LATENTS, zoo.adam(), **options)


def test_players_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match="middle"):
        gan(zoo.players(middle=zoo.linen(nets.MLPTrunk((6,)))), zoo.LATENTS, zoo.adam())
    with pytest.raises(
        ValueError, match=r"the trunk, without players.disc: it gives .* one logit an example"
    ):
        gan(zoo.players(disc=None), zoo.LATENTS, zoo.adam()).init(KEY, zoo.batch())
    game = zoo.game("unconditional")
    big = {**zoo.batch(), "images": jnp.zeros((8, 5, 5, 1))}
    with pytest.raises(ValueError, match=r"shape \(4, 4, 1\), the data has \(5, 5, 1\)"):
        game.init(KEY, big)


@pytest.mark.parametrize("group", ["trunk", "shared", "disc"])
def test_a_penalty_takes_no_batch_norm_in_what_it_looks_through(group):
    class Normed(nn.Module):
        out: int | None

        @nn.compact
        def __call__(self, x, *, context):
            return nets.Head(self.out)(nets.BatchNorm()(x, context=context), context=context)

    def normed(name, out):
        return zoo.linen(Normed(out) if name == group else nets.Head(out))

    players = Players(
        gen=zoo.linen(nets.MLPTrunk((6,))),
        trunk=normed("trunk", 6),
        disc=normed("disc", None),
        middle=normed("shared", 6),
        gen_out=zoo.linen(nets.MLPGenerator((), (4, 4, 1), output="tanh", batch_norm=True)),
    )
    penalties = (Penalty("r1", lambda f, real, fake, context: r1(f, real), 1.0),)
    game = gan(players, zoo.LATENTS, zoo.adam(), penalties=penalties)
    match = rf"penalties \['r1'\] .* BatchNorm in the groups \['{group}'\].*norm='spectral'"
    with pytest.raises(ValueError, match=match):
        game.init(KEY, zoo.batch())
    gan(players, zoo.LATENTS, zoo.adam()).init(KEY, zoo.batch())  # nobody looks at one image


def test_a_normalised_generator_does_not_hinder_a_penalty():
    penalty = Penalty("gp", gradient_penalty, 10.0)
    game = gan(zoo.players(), zoo.LATENTS, zoo.adam(), penalties=(penalty,))
    assert "batch_stats" in game.init(KEY, zoo.batch())["gen"]


def test_the_row_of_classified_fakes_needs_its_name():
    task = zoo.rotation_head()._replace(name="class_fake")
    game = auxiliary()
    with pytest.raises(ValueError, match=r"'disc' need names of their own; \['class_fake'\]"):
        gan(
            linear_players(),
            zoo.LATENTS,
            sgd(),
            tasks=(zoo.class_head(fake_weight=1.0), task),
            condition="auxiliary",
            num_classes=zoo.CLASSES,
            fakes_in_disc=True,
        )
    assert "class_fake" not in game.predict


def test_a_batch_without_the_task_s_entries_is_refused_by_name():
    batch = {k: v for k, v in zoo.batch().items() if k != "labels"}
    with pytest.raises(ValueError, match="Task 'class' needs the batch entry 'labels'"):
        zoo.game("ac_gan").init(KEY, batch)
    with pytest.raises(ValueError, match="labels of all images"):
        zoo.game("projection").init(KEY, batch)
