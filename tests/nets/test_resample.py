"""Filtered resizing against zero insertion and a sum over taps in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import KEY

from gan_mtl.nets.resample import blur, downsample_blurred, upsample_blurred

X = jax.random.normal(KEY, (2, 4, 6, 3))
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def fir(x, before, after):
    """Zeros around, then the correlation with the 4x4 filter."""
    pad = (before, after)
    x = np.pad(np.asarray(x, np.float64), ((0, 0), pad, pad, (0, 0)))
    h, w = x.shape[1] - 3, x.shape[2] - 3
    taps = [FILTER[i, j] * x[:, i : i + h, j : j + w] for i in range(4) for j in range(4)]
    return np.sum(taps, axis=0)


def between_zeros(x):
    """Every pixel followed by a zero, in both directions."""
    n, h, w, c = x.shape
    big = np.zeros((n, 2 * h, 2 * w, c))
    big[:, ::2, ::2] = x
    return big


@pytest.mark.parametrize("pads", [(0, 0), (1, 2), (2, 2)])
def test_blur_is_a_correlation_with_the_filter(pads):
    np.testing.assert_allclose(blur(X, pads), fir(X, *pads), rtol=1e-5, atol=1e-6)


def test_upsampling_is_zero_insertion_and_the_filter_times_4():
    out = upsample_blurred(X)
    assert out.shape == (2, 8, 12, 3)
    np.testing.assert_allclose(out, 4 * fir(between_zeros(X), 2, 1), rtol=1e-5, atol=1e-6)


def test_downsampling_is_the_filter_and_every_other_pixel():
    out = downsample_blurred(X)
    assert out.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(out, fir(X, 1, 1)[:, ::2, ::2], rtol=1e-5, atol=1e-6)


def test_a_constant_stays_away_from_the_edge_and_so_does_the_dtype():
    ones = jnp.ones((1, 8, 8, 1), jnp.bfloat16)
    for resize, edge in ((upsample_blurred, 1), (downsample_blurred, 1)):
        out = resize(ones)
        assert out.dtype == jnp.bfloat16
        np.testing.assert_array_equal(out[:, edge:-edge, edge:-edge].astype(jnp.float32), 1.0)
