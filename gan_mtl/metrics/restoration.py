r"""PSNR and SSIM of repaired images, over the whole of them or over a mask.

Reference:
    Wang, Bovik, Sheikh & Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity", IEEE Transactions on Image Processing 2004.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian window, in pixels
K1, K2 = 0.01, 0.03


def _pair(images: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    found = np.asarray(images, np.float64), np.asarray(references, np.float64)
    if found[0].ndim != 4 or found[0].shape != found[1].shape:
        raise ValueError(
            f"images and references: expected two of one shape [n, h, w, c], got {found[0].shape} "
            f"and {found[1].shape}"
        )
    return found


def _places(mask: ArrayLike | None, images: np.ndarray) -> Float[np.ndarray, "n h w"]:
    n, h, w, _ = images.shape
    if mask is None:
        return np.ones((n, h, w))
    found = np.asarray(mask, np.float64)
    found = found[..., 0] if found.ndim == 4 else found
    if found.shape != (n, h, w) or not np.isin(found, (0, 1)).all():
        raise ValueError(
            f"mask: expected zeros and ones of shape [{n}, {h}, {w}], got {np.shape(mask)}"
        )
    return found


def _check_peak(peak: float) -> None:
    if not peak > 0:
        raise ValueError(f"peak: expected the range of the pixels, above 0, got {peak}")


def psnr(
    images: ArrayLike, references: ArrayLike, mask: ArrayLike | None = None, *, peak: float = 1.0
) -> Float[np.ndarray, " n"]:
    r""":math:`10 \log_{10}(L^2 / \mathrm{MSE})` of each image, in dB; inf where it is exact.

    Args:
        images, references: shape [n, h, w, c].
        mask: 1 where pixels count, shape [n, h, w] or [n, h, w, 1]; None is everywhere. An image
            without such a pixel has NaN.
        peak: L, white minus black.
    """
    x, y = _pair(images, references)
    _check_peak(peak)
    places = _places(mask, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (((x - y) ** 2).mean(axis=3) * places).sum(axis=(1, 2)) / places.sum(axis=(1, 2))
        return 10 * np.log10(peak**2 / squares)


def pooled_psnr(
    images: ArrayLike, references: ArrayLike, mask: ArrayLike | None = None, *, peak: float = 1.0
) -> float:
    """PSNR of the mean squared error over all pixels of all images, in dB.

    Finite unless all is exact, where the mean of `psnr` is infinite as soon as one image is (a hole
    in black). The two do not compare: the mean of logarithms is the greater one.
    """
    x, y = _pair(images, references)
    _check_peak(peak)
    places = _places(mask, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (((x - y) ** 2).mean(axis=3) * places).sum() / places.sum()
        return float(10 * np.log10(peak**2 / squares))


def _filter(size: int) -> Float[np.ndarray, "valid size"]:
    """The Gaussian window at every place at which it lies inside, as a matrix."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    window /= window.sum()
    matrix = np.zeros((size - WINDOW + 1, size))
    for i in range(len(matrix)):
        matrix[i, i : i + WINDOW] = window
    return matrix


def ssim_map(
    images: ArrayLike, references: ArrayLike, *, peak: float = 1.0
) -> Float[np.ndarray, "n h-10 w-10"]:
    """Structural similarity at every place of the 11 x 11 window, the mean over channels.

    Gaussian weights of sigma 1.5, K = (0.01, 0.03), population variances, no padding: place (i, j)
    is around pixel (i + 5, j + 5).

    Args:
        images, references: shape [n, h, w, c], sides of 11 pixels or more.
        peak: L, white minus black.
    """
    x, y = _pair(images, references)
    _check_peak(peak)
    if min(x.shape[1:3]) < WINDOW:
        raise ValueError(f"images: sides of {WINDOW} pixels or more, got {x.shape[1:3]}")
    down, right = _filter(x.shape[1]), _filter(x.shape[2])

    def mean(values: np.ndarray) -> np.ndarray:
        rows = np.einsum("ih,nhwc->niwc", down, values, optimize=True)
        return np.einsum("jw,niwc->nijc", right, rows, optimize=True)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    ratio = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return ratio.mean(axis=3)


def ssim(
    images: ArrayLike, references: ArrayLike, mask: ArrayLike | None = None, *, peak: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Mean structural similarity of each image, at most 1.

    Args:
        images, references, peak: as of `ssim_map`.
        mask: 1 at the pixels whose windows count, as of `psnr`; windows that do not lie inside the
            image never do. An image without such a window has NaN.
    """
    found = ssim_map(images, references, peak=peak)
    edge = WINDOW // 2
    places = _places(mask, np.asarray(images))[:, edge:-edge, edge:-edge]
    with np.errstate(invalid="ignore"):
        return (found * places).sum(axis=(1, 2)) / places.sum(axis=(1, 2))
