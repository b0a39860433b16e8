"""Cross-entropy and Dice of maps against loops over pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses.segmentation import IGNORE, pixel_cross_entropy, soft_dice

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


def test_a_class_out_of_range_is_a_fault_in_the_data():
    values = pixel_cross_entropy(jnp.zeros((1, 2, 2, 3)), jnp.full((1, 2, 2), 3)).values
    assert bool(jnp.isnan(values).all())


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
