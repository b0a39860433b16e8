"""Grad-CAM in closed form, by finite differences and loops; heads as functions of features."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import sampling
from gan_mtl.types import Context, starting

RNG = np.random.default_rng(2)
MAPS = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
WEIGHTS = RNG.normal(size=(5, 3)).astype(np.float32)


def test_of_a_linear_head_on_means_it_is_the_class_activation_map():
    """Logits w . mean(A): every gradient is w / places, so the map is ReLU(A . w / places)."""
    classes = jnp.array([2, 0])

    def score(maps):
        return sampling.class_score(maps.mean(axis=(1, 2)) @ WEIGHTS, classes)

    found = sampling.grad_cam(score, jnp.asarray(MAPS))
    expected = np.stack([MAPS[i] @ WEIGHTS[:, c] / 12 for i, c in enumerate((2, 0))])
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-6)
    assert (expected < 0).any() and (expected > 0).any()


def test_against_finite_differences_and_loops():
    """Of a smooth score that mixes places and channels; the coarser one of two maps."""
    with jax.enable_x64(True):
        maps = RNG.normal(size=(2, 2, 3, 2)), RNG.normal(size=(2, 2, 1, 3))

        def score(maps):
            fine, coarse = maps
            hidden = jnp.tanh(coarse.sum(axis=-1)) * coarse[..., 0]
            return (hidden**2).sum(axis=(1, 2)) * fine.sum(axis=(1, 2, 3)) + coarse[:, 0, 0, 2]

        found = sampling.grad_cam(score, tuple(map(jnp.asarray, maps)))
        step, coarse = 1e-6, maps[1]
        for i in range(2):
            heat = np.zeros((2, 1))
            for c in range(3):
                alpha = 0.0
                for y in range(2):
                    high, low = coarse.copy(), coarse.copy()
                    high[i, y, 0, c] += step
                    low[i, y, 0, c] -= step
                    rise = score((maps[0], high))[i] - score((maps[0], low))[i]
                    alpha += float(rise) / (2 * step) / 2
                heat += alpha * coarse[i, :, :, c]
            np.testing.assert_allclose(found[i], np.maximum(heat, 0), rtol=1e-6, atol=1e-9)
        assert not sampling.grad_cam(lambda m: m[1].sum(axis=(1, 2, 3)), maps, level=0).any()


def test_the_surest_centre_and_the_pixels_of_a_class():
    outputs = RNG.normal(size=(2, 3, 3, 2 + 4)).astype(np.float32)
    outputs[..., 2:] += 100  # offsets and sizes are no scores
    found = sampling.centre_score(jnp.asarray(outputs))
    np.testing.assert_allclose(found, outputs[..., :2].max(axis=(1, 2, 3)))
    logits, classes = RNG.normal(size=(2, 3, 3, 4)), (1, 3)
    expected = [
        sum(v[c] for v in logits[i].reshape(-1, 4) if v.argmax() == c)
        for i, c in enumerate(classes)
    ]
    found = sampling.pixel_score(jnp.asarray(logits), jnp.array(classes))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "seen"), [("hard_sharing", "features"), ("cgc", "features/b")])
def test_a_head_on_other_features_says_what_it_says_of_them(name, seen):
    game, x = tiny.game(name), tiny.images()
    groups = tiny.filled(jax.eval_shape(game.init, tiny.KEY, tiny.batch()))
    variables, context = starting(groups), Context(tiny.KEY, jnp.zeros((), jnp.int32), False)
    features = game.predict[seen](variables, x, context)
    head = sampling.head_on_features(game.predict["b"], variables, x, features, context)
    plain = game.predict["b"](variables, x, context)
    np.testing.assert_allclose(head(features), plain, rtol=1e-5)
    np.testing.assert_allclose(head(features[::-1]), plain[::-1], rtol=1e-4, atol=1e-6)


def test_what_has_no_places_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 5\) have no places to show"):
        sampling.grad_cam(lambda x: x.sum(axis=1), jnp.ones((2, 5)))
    with pytest.raises(ValueError, match="level=1, but there are 1 maps"):
        sampling.grad_cam(lambda x: x.sum(axis=(1, 2, 3)), jnp.asarray(MAPS), level=1)
    with pytest.raises(ValueError, match=r"score: expected shape \(2,\), got \(2, 5\)"):
        sampling.grad_cam(lambda x: x.sum(axis=(1, 2)), jnp.asarray(MAPS))
