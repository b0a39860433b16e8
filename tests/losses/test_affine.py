"""Bilinear resampling: SciPy's, the identity to the bit, quarter turns, the mirrored border."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from gan_mtl.losses._affine import compose, reflected, resample, rotation, scaling, translation

RNG = np.random.default_rng(0)
IDENTITY = jnp.eye(3)


@pytest.mark.parametrize("shape", [(7, 7, 3), (5, 8, 1), (1, 4, 2)])
def test_identity_returns_the_bits(shape):
    image = jnp.float32(RNG.normal(size=shape))
    np.testing.assert_array_equal(resample(image, IDENTITY), image)


@pytest.mark.parametrize("shape", [(7, 7, 2), (5, 9, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_against_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    image, linear, shift = rng.normal(size=shape), rng.normal(size=(2, 2)), rng.normal(size=2) * 3
    h, w, channels = shape
    want = np.zeros(shape)
    for i in range(h):
        for j in range(w):
            place = linear @ [j - (w - 1) / 2, i - (h - 1) / 2] + shift
            x, y = place[0] + (w - 1) / 2, place[1] + (h - 1) / 2
            for c in range(channels):
                want[i, j, c] = ndimage.map_coordinates(
                    image[..., c], [[y], [x]], order=1, mode="mirror"
                )[0]
    with jax.enable_x64(True):
        m = jnp.eye(3).at[:2, :2].set(linear).at[:2, 2].set(shift)
        np.testing.assert_allclose(resample(jnp.array(image), m), want, rtol=1e-9, atol=1e-9)


def test_flips_and_quarter_turns_of_a_square_are_exact():
    image = jnp.float32(RNG.normal(size=(6, 6, 2)))
    np.testing.assert_array_equal(resample(image, scaling(-1, 1)), image[:, ::-1])
    turned = resample(image, rotation(0.0, 1.0))
    np.testing.assert_array_equal(turned, np.rot90(image, axes=(0, 1)))
    np.testing.assert_array_equal(resample(turned, rotation(0.0, -1.0)), image)


def test_translation_takes_from_there():
    image = jnp.float32(RNG.normal(size=(5, 6, 1)))
    moved = resample(image, translation(2, -1))
    np.testing.assert_array_equal(moved[1:, :4], image[:4, 2:])


def test_compose_applies_the_last_first():
    m = compose(translation(1.0, 0.0), scaling(2.0, 3.0))
    np.testing.assert_allclose(m @ jnp.array([1.0, 1.0, 1.0]), [3, 3, 1])


def test_reflected_indices():
    want = np.pad(np.arange(4), 6, mode="reflect")
    np.testing.assert_array_equal(reflected(jnp.arange(-6, 10), 4), want)
    np.testing.assert_array_equal(reflected(jnp.arange(-2, 3), 1), np.zeros(5))
