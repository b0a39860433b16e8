"""PSNR by hand, SSIM against scipy's Gaussian filter, masks, bad input."""

import numpy as np
import pytest
from scipy import ndimage

from gan_mtl.metrics import pooled_psnr, psnr, ssim, ssim_map

RNG = np.random.default_rng(4)
TRUE = RNG.random((3, 15, 17, 2))
FOUND = np.clip(TRUE + 0.2 * RNG.normal(size=TRUE.shape), 0, 1)
HOLE = (RNG.random((3, 15, 17)) < 0.4).astype(float)


def test_psnr_by_hand():
    """An error of 0.1 everywhere is 20 dB; of 0.5 in a quarter of the pixels 12 dB."""
    true = np.zeros((2, 4, 4, 1))
    found = np.stack([true[0] + 0.1, np.where(np.arange(16).reshape(4, 4, 1) < 4, 0.5, 0.0)])
    np.testing.assert_allclose(psnr(found, true), [20.0, -10 * np.log10(0.25 / 4)])
    mask = np.zeros((2, 4, 4))
    mask[:, 0] = 1
    np.testing.assert_allclose(psnr(found, true, mask), [20.0, -10 * np.log10(0.25)])
    pooled = -10 * np.log10((0.01 + 0.0625) / 2)
    assert pooled_psnr(found, true) == pytest.approx(pooled)
    np.testing.assert_allclose(psnr(255 * found, 255 * true, peak=255), psnr(found, true))


def test_psnr_where_there_is_no_error_or_no_pixel():
    assert np.isinf(psnr(TRUE, TRUE)).all() and pooled_psnr(TRUE, TRUE) == np.inf
    mask = HOLE * np.array([0.0, 1.0, 1.0])[:, None, None]
    assert np.isnan(psnr(FOUND, TRUE, mask)).tolist() == [True, False, False]
    assert np.isfinite(pooled_psnr(FOUND, TRUE, mask))
    exact = np.concatenate([TRUE[:1], FOUND[1:]])
    assert np.isfinite(pooled_psnr(exact, TRUE)) and np.isinf(psnr(exact, TRUE)[0])


def filtered(x):
    """The Gaussian window as scipy has it, of radius 5, cut to where it lies inside."""
    found = ndimage.gaussian_filter(x, (0, 1.5, 1.5, 0), truncate=3.5, mode="reflect")
    return found[:, 5:-5, 5:-5]


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_ssim_against_its_definition_by_another_filter(peak):
    x, y = peak * TRUE, peak * FOUND
    a, b = filtered(x), filtered(y)
    va, vb, both = filtered(x**2) - a**2, filtered(y**2) - b**2, filtered(x * y) - a * b
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * a * b + c1) / (a**2 + b**2 + c1)
    wanted = luminance * (2 * both + c2) / (va + vb + c2)
    found = ssim_map(y, x, peak=peak)
    assert found.shape == (3, 5, 7)
    np.testing.assert_allclose(found, wanted.mean(axis=3), rtol=1e-9)
    np.testing.assert_allclose(ssim(y, x, peak=peak), wanted.mean(axis=(1, 2, 3)), rtol=1e-9)
    inside = HOLE[:, 5:-5, 5:-5]
    masked = (wanted.mean(axis=3) * inside).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))
    np.testing.assert_allclose(ssim(y, x, HOLE, peak=peak), masked, rtol=1e-9)


def test_properties_of_ssim():
    np.testing.assert_allclose(ssim(TRUE, TRUE), 1.0)
    np.testing.assert_allclose(ssim(TRUE, FOUND), ssim(FOUND, TRUE))
    constant = np.full((1, 11, 11, 1), 0.2), np.full((1, 11, 11, 1), 0.6)
    wanted = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    np.testing.assert_allclose(ssim(*constant), wanted, err_msg="luminance alone")
    assert np.isnan(ssim(TRUE, FOUND, np.zeros((3, 15, 17)))).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"one shape \[n, h, w, c\], got \(3, 15, 17, 2\) and"):
        psnr(TRUE, TRUE[..., :1])
    with pytest.raises(ValueError, match=r"mask: expected zeros and ones of shape \[3, 15, 17\]"):
        pooled_psnr(TRUE, TRUE, 0.5 * HOLE)
    with pytest.raises(ValueError, match="peak: expected the range of the pixels, above 0, got 0"):
        ssim(TRUE, TRUE, peak=0)
    with pytest.raises(ValueError, match=r"sides of 11 pixels or more, got \(10, 17\)"):
        ssim_map(TRUE[:, :10], TRUE[:, :10])
