r"""Mel scales, triangular filters, and the way back from mel bands to a power spectrum.

Two scales are in use. HTK's is :math:`m = 2595 \log_{10}(1 + f / 700)`; Slaney's (Auditory Toolbox)
is linear below 1 kHz, :math:`m = 3 f / 200`, and logarithmic above, 27 bands per factor of 6.4.
Filters are triangles over the linear frequency of the bins; Slaney's have area 1 in Hz, HTK's have
height 1. librosa's default is Slaney's scale and area, torchaudio's HTK's scale and height: numbers
of one do not fit a network of the other.

Reference:
    Young et al., "The HTK Book", 2006; Slaney, "Auditory Toolbox", Interval Research TR 1998-010;
    Beck & Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", SIAM J. Imaging Sci. 2009.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from gan_mtl.audio.spectra import AnyArray, namespace, real

Scale = Literal["slaney", "htk"]
Norm = Literal["slaney", "none"]
_BREAK, _LINEAR, _STEP = 1000.0, 200.0 / 3, math.log(6.4) / 27  # Slaney's: Hz, Hz a mel, log step


def hz_to_mel(hz: ArrayLike, scale: Scale = "slaney") -> Float[np.ndarray, " *dims"]:
    """Frequencies in Hz, 0 or more, as mels.

    Example:
        >>> hz_to_mel([0.0, 1000.0, 6400.0]).round(6).tolist()
        [0.0, 15.0, 42.0]
    """
    hz = np.asarray(hz, np.float64)
    if _checked(scale) == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = _BREAK / _LINEAR + np.log(np.maximum(hz, _BREAK) / _BREAK) / _STEP
    return np.where(hz < _BREAK, hz / _LINEAR, above)


def mel_to_hz(mel: ArrayLike, scale: Scale = "slaney") -> Float[np.ndarray, " *dims"]:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    if _checked(scale) == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    knee = _BREAK / _LINEAR
    above = _BREAK * np.exp(_STEP * (np.maximum(mel, knee) - knee))
    return np.where(mel < knee, mel * _LINEAR, above)


def mel_filterbank(
    sample_rate: float,
    fft: int,
    mels: int,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    scale: Scale = "slaney",
    norm: Norm = "slaney",
) -> Float[np.ndarray, "mels k"]:
    """Triangles that turn k = fft // 2 + 1 bins into mel bands, lowest first.

    Band i rises from the i-th of mels + 2 frequencies, equally spaced in mels from fmin to fmax, to
    the next, and falls to the one after.

    Args:
        sample_rate: in Hz.
        fft: samples of a frame.
        mels: number of bands.
        fmin, fmax: in Hz; None is half the sample rate.
        scale: "slaney" or "htk".
        norm: "slaney" divides a triangle by half its width in Hz, which makes its area 1; "none"
            leaves its height at 1.

    Raises:
        ValueError: for a band that no bin falls into, whose value would always be 0; for a range of
            frequencies that there is not.
    """
    fmax = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(
            f"fmin={fmin}, fmax={fmax}: give 0 <= fmin < fmax <= sample_rate / 2 = "
            f"{sample_rate / 2:g} Hz"
        )
    if mels < 1 or norm not in ("slaney", "none"):
        raise ValueError(f"mels={mels}, norm={norm!r}: give 1 band or more, 'slaney' or 'none'")
    bins = np.linspace(0.0, sample_rate / 2, fft // 2 + 1)
    low, high = hz_to_mel([fmin, fmax], scale).tolist()
    ends = np.linspace(low, high, mels + 2)
    hz = mel_to_hz(ends, scale)[:, None]
    rise = (bins - hz[:-2]) / (hz[1:-1] - hz[:-2])
    fall = (hz[2:] - bins) / (hz[2:] - hz[1:-1])
    bank = np.maximum(0.0, np.minimum(rise, fall))
    empty = np.flatnonzero(bank.max(axis=1) == 0)
    if empty.size:
        first, last = hz[empty[0], 0], hz[empty[0] + 2, 0]
        raise ValueError(
            f"mels={mels}: no bin of fft={fft} lies in band {empty[0]} ({first:.0f} to {last:.0f} "
            f"Hz, {len(empty)} such bands); take fewer bands or a longer FFT"
        )
    return bank * (2.0 / (hz[2:] - hz[:-2])) if norm == "slaney" else bank


def to_mel(
    power: Float[AnyArray, " *b k m"], bank: Float[np.ndarray, "mels k"]
) -> Float[AnyArray, " *b mels m"]:
    """Power spectra in mel bands: one matrix product."""
    xp, power = namespace(power), real("power", power)
    return xp.matmul(xp.asarray(bank, power.dtype), power, **_exactly(xp))


def from_mel(
    mel: Float[Array, " *b mels m"], bank: Float[np.ndarray, "mels k"], iterations: int = 100
) -> Float[Array, " *b k m"]:
    r"""The power spectrum with the nearest bands: :math:`\min_{p \ge 0} \lVert F p - m \rVert^2`.

    FISTA with the step 1 / L, L the largest eigenvalue of :math:`F F^\top`, from the least-squares
    solution of least norm, cut off at 0. There are fewer bands than bins, so that many p fit
    equally well: the error of the bands goes to 0, that of the bins need not. May be traced.

    Args:
        mel: shape [..., mels, m].
        bank: F, as of `mel_filterbank`.
        iterations: a fixed number.

    Raises:
        ValueError: for another number of bands.
    """
    mel = jnp.asarray(real("mel", mel))
    bank = np.asarray(bank, np.float64)
    if mel.ndim < 2 or mel.shape[-2] != len(bank):
        raise ValueError(f"mel: expected shape [..., {len(bank)}, m], got {mel.shape}")
    step = 1.0 / np.linalg.norm(bank, 2) ** 2
    f, start, back = (
        jnp.asarray(matrix, mel.dtype) for matrix in (bank, np.linalg.pinv(bank), step * bank.T)
    )
    exact = _exactly(jnp)

    def body(i: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        old, y = carry
        new = jnp.maximum(y - jnp.matmul(back, jnp.matmul(f, y, **exact) - mel, **exact), 0)
        k = jnp.asarray(i, mel.dtype)
        return new, new + k / (k + 3) * (new - old)

    first = jnp.maximum(jnp.matmul(start, mel, **exact), 0)
    return jax.lax.fori_loop(0, iterations, body, (first, first))[0]


def _checked(scale: str) -> str:
    if scale not in ("slaney", "htk"):
        raise ValueError(f"scale={scale!r} is not 'slaney' or 'htk'")
    return scale


def _exactly(xp: Any) -> dict[str, Any]:
    """Full precision on accelerators, where products are otherwise rounded to 10 bits."""
    return {"precision": jax.lax.Precision.HIGHEST} if xp is jnp else {}
