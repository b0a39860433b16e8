"""Cross-entropy and Dice of maps against loops over pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses.segmentation import (
    IGNORE,
    one_hot_map,
    pixel_cross_entropy,
    scaled_map,
    soft_dice,
)

RNG = np.random.default_rng(6)
LOGITS = RNG.normal(size=(3, 4, 5, 3))
MASK = RNG.integers(0, 3, (3, 4, 5)).astype(np.uint8)
MASK[0, :2] = IGNORE
MASK[2] = IGNORE
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)
SEEN = MASK != IGNORE
NEGATIVE = -np.log(np.take_along_axis(P, np.where(SEEN, MASK, 0)[..., None], -1))[..., 0]
WEIGHTS = np.array([0.5, 2.0, 3.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_mean_over_images_is_that_over_all_pixels(weights):
    given = None if weights is None else jnp.asarray(weights, jnp.float32)
    values, mask = pixel_cross_entropy(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(MASK), given)
    w = SEEN * (1.0 if weights is None else weights[np.where(SEEN, MASK, 0)])
    expected = (w * NEGATIVE).sum() / w.sum()
    assert float((values * mask).sum() / mask.sum()) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(mask, w.sum(axis=(1, 2)) / 20, rtol=1e-6)
    assert float(values[2]) == 0 == float(mask[2])
    gradient = jax.grad(lambda x: pixel_cross_entropy(x, jnp.asarray(MASK), given).values.sum())
    slope = gradient(jnp.asarray(LOGITS, jnp.float32))
    assert bool(jnp.isfinite(slope).all()) and not bool(slope[2].any())
    assert not bool(slope[0, :2].any())


@pytest.mark.parametrize("loss", [lambda *a: pixel_cross_entropy(*a).values, soft_dice])
@pytest.mark.parametrize("bad", [3, -1])
def test_a_class_out_of_range_is_a_fault_in_the_data(loss, bad):
    mask = jnp.zeros((2, 2, 2), int).at[0, 1, 1].set(bad)
    assert jnp.isnan(loss(jnp.zeros((2, 2, 2, 3)), mask)).tolist() == [True, False]


@pytest.mark.parametrize("bad", [3, -1])
def test_a_fault_is_not_weighed_away(bad):
    """Nor is it where the class nearest to it has no weight, and nothing else is to be seen."""
    mask = jnp.full((1, 2, 2), 255).at[0, 1, 1].set(bad)
    found = pixel_cross_entropy(jnp.zeros((1, 2, 2, 3)), mask, jnp.array([0.0, 1.0, 0.0]))
    weighed = (found.values * found.mask).sum() / found.mask.sum()
    assert bool(jnp.isnan(weighed)) and float(found.mask[0]) > 0


def test_an_image_of_ignored_pixels_teaches_nothing():
    """Nor is anything that is not a number behind its mask."""
    logits = jnp.asarray(LOGITS, jnp.float32)
    mask = jnp.asarray(MASK).at[1].set(IGNORE)

    def total(logits):
        found = pixel_cross_entropy(logits, mask)
        return found.values.sum() + soft_dice(logits, mask).sum(), found

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(logits)
    assert found.values[1] == 0 and found.mask[1] == 0 and found.mask[0] > 0
    assert not gradient[1].any() and gradient[0].any() and bool(jnp.isfinite(gradient).all())
    assert soft_dice(logits, mask)[1] == pytest.approx(0, abs=1e-6)


def test_dice_by_hand():
    found = soft_dice(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(MASK), smooth=0.5)
    for i in range(3):
        shares = []
        for c in range(3):
            p, q = P[i, ..., c][SEEN[i]], (MASK[i] == c)[SEEN[i]]
            shares.append((2 * (p * q).sum() + 0.5) / (p.sum() + q.sum() + 0.5))
        assert float(found[i]) == pytest.approx(1 - np.mean(shares), abs=1e-6)
    right = 100.0 * np.eye(3)[np.where(SEEN, MASK, 0)]
    np.testing.assert_allclose(soft_dice(jnp.asarray(right), jnp.asarray(MASK)), 0.0, atol=1e-6)


@pytest.mark.parametrize("loss", [pixel_cross_entropy, soft_dice])
def test_masks_of_another_size_or_kind_are_refused(loss):
    with pytest.raises(ValueError, match=r"mask of shape \(1, 4, 4\) for logits of shape"):
        loss(jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 4, 4), int))
    with pytest.raises(TypeError, match="integer classes, got dtype float32"):
        loss(jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="one for each of 3 classes, got shape"):
        pixel_cross_entropy(jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 2), int), jnp.ones(2))


def test_true_maps_are_one_hot_and_blank_where_ignored():
    expected = np.eye(3)[np.where(SEEN, MASK, 0)] * SEEN[..., None]
    np.testing.assert_array_equal(one_hot_map(jnp.asarray(MASK), 3), expected)


def test_a_scaled_map_is_the_nearest_distribution_with_enough_at_the_true_class():
    """By hand, pixel by pixel; the other classes keep their proportions."""
    found = np.asarray(scaled_map(jnp.asarray(P, jnp.float32), jnp.asarray(MASK), 0.6))
    for at in np.ndindex(MASK.shape):
        if MASK[at] == IGNORE:
            assert not found[at].any()
            continue
        true, p = int(MASK[at]), P[at]
        wanted = p.copy() if p[true] > 0.6 else p * 0.4 / (1 - p[true])
        wanted[true] = max(p[true], 0.6)
        np.testing.assert_allclose(found[at], wanted, rtol=1e-5)
        assert found[at].sum() == pytest.approx(1, rel=1e-5)


def test_scaled_maps_at_their_limits():
    p, mask = jnp.asarray(P, jnp.float32), jnp.asarray(MASK)
    np.testing.assert_allclose(scaled_map(p, mask, 1.0), one_hot_map(mask, 3), atol=1e-6)
    sure = one_hot_map(mask, 3)
    np.testing.assert_array_equal(scaled_map(sure, mask, 0.9), sure)
    assert not jax.grad(lambda p: scaled_map(p, mask, 0.6).sum())(p).any()
    for tau in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"tau={tau}: .* in \(0, 1\]"):
            scaled_map(p, mask, tau)
