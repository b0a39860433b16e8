"""Losses on an image's logit and those of its pixels, and mixed images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import losses
from gan_mtl.losses import pixels
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(2), jnp.zeros((), jnp.int32))
DRAW = np.random.default_rng(0)
REAL, FAKE = (DRAW.normal(size=(3, 1 + 2 * 5)).astype(np.float32) for _ in range(2))


def softplus(x):
    return np.log1p(np.exp(x))


def test_the_pair_is_the_image_s_loss_and_the_mean_over_pixels():
    pair = losses.per_pixel(losses.non_saturating, weight=0.5)
    disc = softplus(-REAL) + softplus(FAKE)
    gen = softplus(-FAKE)
    for found, each in ((pair.disc(REAL, FAKE), disc), (pair.gen(REAL, FAKE), gen)):
        expected = [one[0] + 0.5 * sum(one[1:]) / 10 for one in each]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert pair.reads == "pixels"


def test_what_has_no_meaning_by_pixel_is_refused():
    for pair in (losses.relativistic_average(), losses.per_pixel(losses.hinge)):
        with pytest.raises(ValueError, match="one logit per example"):
            losses.per_pixel(pair)
    with pytest.raises(ValueError, match=r"real_outputs: expected one row per example.*\(3,\)"):
        losses.per_pixel(losses.hinge).disc(REAL[:, 0], FAKE)


def test_masks_are_boxes_or_what_is_outside_of_one():
    masks = np.asarray(losses.cut_mix_mask(400, (6, 9), CONTEXT))
    inverted = 0
    for mask in masks:
        kinds = []
        for shown in (mask, ~mask):
            rows, columns = shown.any(axis=1), shown.any(axis=0)
            kinds.append(np.array_equal(shown, rows[:, None] & columns[None]))
        assert any(kinds)
        inverted += kinds[1] and not kinds[0]
    assert 0.3 < inverted / 400 < 0.7
    assert masks.mean() == pytest.approx(0.5, abs=0.05)


def test_a_share_of_devices_has_the_masks_of_the_whole_batch():
    whole = losses.cut_mix_mask(8, (4, 4), CONTEXT)
    part = losses.cut_mix_mask(4, (4, 4), CONTEXT._replace(offset=4))
    assert CONTEXT.stride == 1
    np.testing.assert_array_equal(part, whole[4:])


def test_consistency_is_zero_for_a_judge_of_single_pixels():
    first, second = DRAW.normal(size=(2, 3, 2, 5, 1)).astype(np.float32)
    mask = losses.cut_mix_mask(3, (2, 5), CONTEXT)

    def judge(images):
        logits = np.sin(3 * np.asarray(images)).reshape(3, -1)
        return np.concatenate([logits.sum(axis=1, keepdims=True), logits], axis=1)

    outputs = [judge(x) for x in (losses.cut_mix(mask, first, second), first, second)]
    same = losses.cut_mix_consistency(outputs[0], mask, *outputs[1:])
    np.testing.assert_allclose(same, 0.0, atol=1e-12)
    outputs[0][:, 1:] += 2.0
    off = losses.cut_mix_consistency(outputs[0], mask, *outputs[1:])
    np.testing.assert_allclose(off, 4.0, rtol=1e-5)
    with pytest.raises(ValueError, match="not one place for each of 10 pixels"):
        pixels.cut_mix_consistency(outputs[0], mask[:, :1], *outputs[1:])
