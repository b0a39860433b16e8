"""Segmentation against a discriminator of maps: who sees what, and who is taught by it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear

from gan_mtl import games, losses, table
from gan_mtl.games.segmentation_adversary import label_maps, segmentation_adversary
from gan_mtl.types import Context, Network, starting

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
K = zoo.CLASSES
SGD = games.Optimizers(gen=optax.sgd(0.1), disc=optax.sgd(0.1))


def batch():
    """The zoo's; the last two of its eight images have no label at all."""
    found = zoo.batch()
    return {**found, "mask": found["mask"].at[6:].set(255)}


def task(**options):
    return games.segmentation_task(linear(16 * K, shape=(4, 4, K)), **options)


def game(disc=None, tasks=None, **options):
    return segmentation_adversary(
        linear(6), tasks or (task(),), disc or linear(None), SGD, **options
    )


def critic():
    """Features of two layers: the maps themselves, and half of each scaled."""

    def init(key, images, maps):
        return {"params": {"w": jnp.full((), 0.5)}}

    def apply(variables, images, maps, context):
        return (maps, variables["params"]["w"] * maps[:, :2]), {}

    return Network(init, apply)


def outcomes(played, batch):
    """The outcomes of both turns at the first parameters, and these."""
    groups = played.init(KEY, batch)
    return [t.losses(starting(groups), batch, CONTEXT) for t in played.turns], groups


def test_its_table():
    lines = table.render(game(weight=0.25)).splitlines()
    rows = [line.split() for line in lines]
    assert rows[0] == ["turn", "objective", "disc", "trunk", "heads/segmentation"]
    assert rows[1:] == [
        ["disc", "adversarial", "1", ".", "."],
        ["model", "segmentation", ".", "1", "1"],
        ["model", "adversarial", ".", "0.25", "0.25"],
    ]


def test_both_losses_are_luc_s_formulas():
    data = batch()
    (disc, model), groups = outcomes(game(), data)
    trunk, head, judge = (
        np.asarray(groups[n]["params"]["w"]) for n in ("trunk", "heads/segmentation", "disc")
    )
    images = np.asarray(data["images"], np.float64).reshape(8, -1)
    logits = (images @ trunk @ head).reshape(8, 4, 4, K)
    predicted = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mask = np.asarray(data["mask"])
    seen = mask != 255
    true = np.eye(K)[np.where(seen, mask, 0)] * seen[..., None]
    predicted[:6] *= seen[:6, :, :, None]

    def a(maps):
        return (np.concatenate([images, maps.reshape(8, -1)], axis=1) @ judge)[:, 0]

    against = np.log1p(np.exp(-a(true))) + np.log1p(np.exp(a(predicted)))
    found = disc.losses["adversarial"]
    np.testing.assert_allclose(found.values[:6], against[:6], rtol=1e-4)
    np.testing.assert_array_equal(found.mask, [1, 1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(disc.metrics["real_logits"].mask, found.mask)
    found = model.losses["adversarial"]
    np.testing.assert_allclose(found.values, np.log1p(np.exp(-a(predicted))), rtol=1e-4)
    assert found.mask is None  # images without labels are judged too


def test_segan_and_relativistic_losses_play_labelled_images_only():
    for options in (
        {"disc": critic(), "adversarial": losses.multi_scale_l1},
        {"adversarial": losses.relativistic},
    ):
        (disc, model), _ = outcomes(game(**options), batch())
        for outcome in (disc, model):
            np.testing.assert_array_equal(
                outcome.losses["adversarial"].mask, [1, 1, 1, 1, 1, 1, 0, 0]
            )
    (disc, model), _ = outcomes(game(critic(), adversarial=losses.multi_scale_l1), batch())
    gap = model.losses["adversarial"].values
    np.testing.assert_allclose(disc.losses["adversarial"].values, -gap, rtol=1e-6)
    assert (gap > 0).all() and not disc.metrics


def test_what_is_predicted_at_ignored_pixels_reaches_nobody():
    logits = jax.random.normal(KEY, (2, 4, 4, K))
    mask = jnp.zeros((2, 4, 4), jnp.uint8).at[0, 1].set(255).at[1].set(255)
    changed = logits.at[0, 1].add(jnp.array([5.0, 0.0, -3.0]))
    maps, others = label_maps(logits, mask), label_maps(changed, mask)
    for before, after in zip(maps, others, strict=True):
        np.testing.assert_array_equal(before, after)
    assert not maps.real[0, 1].any() and not maps.fake[0, 1].any() and not maps.real[1].any()
    np.testing.assert_allclose(maps.fake[1].sum(axis=-1), 1.0, rtol=1e-6)  # no label: the whole map
    np.testing.assert_allclose(maps.fake[0, 0].sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(maps.labelled, [True, False])


def test_every_turn_moves_its_own_groups():
    moved = {turn.name: set(table.moved_groups(turn)) for turn in zoo.game("judged_maps").turns}
    segmenter = {"trunk", "heads/segmentation", "heads/reconstruction"}
    assert moved == {"disc": {"disc"}, "model": segmenter}


def test_the_discriminator_s_gradient_stops_at_the_maps():
    played, data = game(), batch()
    groups = played.init(KEY, data)

    def loss(params):
        variables = starting(groups)
        variables = variables._replace(params={**variables.params, "trunk": params})
        return played.turns[0].losses(variables, data, CONTEXT).losses["adversarial"].values.sum()

    assert not jax.grad(loss)(groups["trunk"]["params"])["w"].any()


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"judged='segmentation'.*\['class'\]"):
        game(tasks=(zoo.class_head(),))
    with pytest.raises(ValueError, match=r"'segmentation'.*no augment.*games.augmented"):
        game(tasks=(task(augment=lambda x, context: x),))
    with pytest.raises(ValueError, match="batch_statistic=True"):
        game(adversarial=losses.relativistic_average())
    with pytest.raises(ValueError, match=r"tau=0: .* in \(0, 1\]"):
        game(tau=0)
    with pytest.raises(ValueError, match="'adversarial' is the discriminator's row"):
        game(tasks=(task(), zoo.class_head(name="adversarial")))
    with pytest.raises(ValueError, match=r"disc: it gives shape \(8, 2\).*shape \(8,\)"):
        game(linear(2)).init(KEY, batch())
    with pytest.raises(ValueError, match=r"disc: it gives shape \(8,\).*tuple of features"):
        game(adversarial=losses.multi_scale_l1).init(KEY, batch())
    with pytest.raises(ValueError, match=r"features of two label maps.*segmentation_adversary"):
        games.gan(zoo.players(), zoo.LATENTS, zoo.adam(), adversarial=losses.multi_scale_l1)
    with pytest.raises(ValueError, match=r"mask of shape \(8, 2, 4\)"):
        label_maps(jnp.zeros((8, 4, 4, K)), jnp.zeros((8, 2, 4), jnp.uint8))
