"""Mode coverage: how many modes of a known mixture, or of a classifier, a generator reaches.

Reference:
    Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning",
    NeurIPS 2017 (modes and high-quality samples); Lin et al., "PacGAN: The power of two samples in
    generative adversarial networks", NeurIPS 2018 (reverse KL divergence).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

BLOCK = 1 << 21  # values of a block of differences


class ModeCoverage(NamedTuple):
    """What of a mixture's modes the samples reach.

    modes: how many have at least one high-quality sample.
    quality: the share of samples that are of high quality, in [0, 1].
    reverse_kl: KL(histogram || uniform) in nats, `ln k - entropy`: 0 if all modes are hit alike,
        ln k if only one is, inf if no sample is of high quality.
    histogram: shape [k], high-quality samples by their nearest mode.
    """

    modes: int
    quality: float
    reverse_kl: float
    histogram: Int[np.ndarray, " k"]


class ClassCoverage(NamedTuple):
    """What of a classifier's classes the samples reach.

    modes: how many classes occur.
    reverse_kl: KL(generated || uniform) in nats, of the histogram over all classes.
    histogram: shape [num_modes], samples by class.
    """

    modes: int
    reverse_kl: float
    histogram: Int[np.ndarray, " num_modes"]


def mode_coverage(
    samples: ArrayLike, centres: ArrayLike, std: ArrayLike, *, radius: float = 3.0
) -> ModeCoverage:
    """Modes covered, share of high-quality samples and reverse KL against a Gaussian mixture.

    A sample is of high quality if its Mahalanobis distance to the nearest mode, `|x - c| / std`, is
    strictly below `radius`; a mode is covered by at least one such sample. Real data itself does
    not score 1: in two dimensions `1 - exp(-radius^2 / 2)`, 98.89 % at 3. A sample that is not
    finite is of no quality. Where no sample is of high quality the reverse KL, undefined in
    PacGAN's code (a division by zero), is inf.

    Args:
        samples: shape [n, d].
        centres: of the modes, shape [k, d].
        std: standard deviation of every mode in each dimension: a scalar, or one by mode, shape
            [k]; positive.
        radius: in standard deviations; VEEGAN takes 3, and 10 for its mixture in 1200 dimensions.

    Raises:
        ValueError: for shapes that do not fit, no samples, or a std or radius that is not positive.
    """
    x, c = np.asarray(samples, np.float64), np.asarray(centres, np.float64)
    for name, array in (("samples", x), ("centres", c)):
        if array.ndim != 2 or not array.size:
            raise ValueError(f"{name}: expected shape [n, d] with n, d >= 1, got {array.shape}")
    if x.shape[1] != c.shape[1]:
        raise ValueError(
            f"samples and centres: widths must be equal, got {x.shape[1]} and {c.shape[1]}"
        )
    scale = np.asarray(std, np.float64)
    if scale.shape not in ((), (len(c),)):
        raise ValueError(
            f"std: expected a scalar or one by mode, shape ({len(c)},), got {scale.shape}"
        )
    if not (scale > 0).all() or not radius > 0:
        raise ValueError(f"std and radius: expected positive values, got {std} and {radius}")
    scale = np.broadcast_to(scale, len(c))
    histogram = np.zeros(len(c), int)
    block = max(1, BLOCK // c.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(0, len(x), block):
            differences = (x[i : i + block, None] - c[None]) / scale[None, :, None]
            distances = np.sqrt(np.square(differences).sum(axis=2))
            nearest, least = distances.argmin(axis=1), distances.min(axis=1)
            histogram += np.bincount(nearest[least < radius], minlength=len(c))
    return ModeCoverage(
        modes=int((histogram > 0).sum()),
        quality=float(histogram.sum() / len(x)),
        reverse_kl=_kl_to_uniform(histogram),
        histogram=histogram,
    )


def class_coverage(classes: ArrayLike, num_modes: int) -> ClassCoverage:
    """Modes covered and KL(generated || uniform), where a classifier names the mode of a sample.

    Stacked MNIST: three digits as the channels of an image, each classified by itself, are the mode
    `100 a + 10 b + c` of 1000; PacGAN takes 26,000 samples. Even exactly uniform samples score
    above 0, by about `(num_modes - 1) / 2n` (0.019 there).

    Args:
        classes: the mode of each sample, 0 .. num_modes - 1, shape [n], n >= 1.
        num_modes: how many modes there are.

    Raises:
        TypeError: if the classes are not integers.
        ValueError: for another shape, no samples, or a class out of range.
    """
    classes = np.asarray(classes)
    if classes.ndim != 1 or not classes.size:
        raise ValueError(f"classes: expected shape [n] with n >= 1, got {classes.shape}")
    if not np.issubdtype(classes.dtype, np.integer):
        raise TypeError(f"classes: expected integer class numbers, got dtype {classes.dtype}")
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or high >= num_modes:
        wrong = low if low < 0 else high
        raise ValueError(f"classes: expected 0 to {num_modes - 1}, found {wrong}")
    histogram = np.bincount(classes, minlength=num_modes)
    return ClassCoverage(int((histogram > 0).sum()), _kl_to_uniform(histogram), histogram)


def _kl_to_uniform(histogram: Float[np.ndarray, " k"] | Int[np.ndarray, " k"]) -> float:
    """`ln k - entropy` in nats; empty bins contribute 0; inf for an empty histogram."""
    total = histogram.sum()
    if not total:
        return math.inf
    p = histogram[histogram > 0] / total
    return max(0.0, float(math.log(len(histogram)) + (p * np.log(p)).sum()))
