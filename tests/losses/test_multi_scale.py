"""SegAN's loss: a mean over layers of mean absolute differences, in both directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import multi_scale_l1
from gan_mtl.losses.multi_scale import feature_gap

KEYS = jax.random.split(jax.random.key(0), 4)
REAL = (jax.random.normal(KEYS[0], (3, 4, 4, 2)), jax.random.normal(KEYS[1], (3, 2, 2, 5)))
FAKE = (jax.random.normal(KEYS[2], (3, 4, 4, 2)), jax.random.normal(KEYS[3], (3, 2, 2, 5)))


def test_the_formula():
    by_layer = [
        np.abs(np.asarray(f, np.float64) - np.asarray(r)).reshape(3, -1).mean(axis=1)
        for r, f in zip(REAL, FAKE, strict=True)
    ]
    np.testing.assert_allclose(feature_gap(REAL, FAKE), np.mean(by_layer, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(feature_gap(REAL, REAL), np.zeros(3))


def test_the_critic_ascends_what_the_segmenter_descends():
    assert multi_scale_l1.reads == "features"
    np.testing.assert_array_equal(multi_scale_l1.disc(REAL, FAKE), -multi_scale_l1.gen(REAL, FAKE))


def test_features_of_another_form_are_refused_by_name():
    with pytest.raises(ValueError, match="two tuples of as many layers' features, got 2 and 1"):
        feature_gap(REAL, FAKE[:1])
    with pytest.raises(ValueError, match=r"got ArrayImpl and 2"):
        feature_gap(REAL[0], FAKE)
    with pytest.raises(ValueError, match=r"real_features\[1\] and fake_features\[1\]: shapes"):
        feature_gap(REAL, (FAKE[0], FAKE[1][:, :1]))
    with pytest.raises(TypeError, match=r"real_features\[0\]: expected floating-point"):
        feature_gap((jnp.zeros((3, 2), jnp.int32),), (jnp.zeros((3, 2)),))
