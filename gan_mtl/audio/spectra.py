r"""Short-time Fourier transform and its inverse, without a loop or a convolution.

.. math:: X_{k, m} = \sum_{t=0}^{L-1} w_t\, x_{mh + t}\, e^{-2\pi i k t / L}

with hop h, window w and L the length of the FFT: the raw transform, as librosa has it;
scipy.signal divides it by :math:`\sum_t w_t`. A window shorter than L lies in the middle of the
frame. Nothing is padded unless asked for: `pad` zeros go before and after the signal (`fft // 2` is
the "centred" transform of librosa).

A NumPy array comes back as a NumPy array and is worked on in float64, so that the host makes the
same bytes on every machine; anything else is a JAX array and may be traced.

Reference:
    Griffin & Lim, "Signal Estimation from Modified Short-Time Fourier Transform", IEEE Trans. ASSP
    1984; the inverse is their least-squares estimate.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

AnyArray = Any  # of NumPy, and then so is the result, or of JAX
TINY = 1e-8  # of the squared windows' sum: what no window covers is 0


def namespace(array: Any) -> Any:
    """numpy for its own arrays, jax.numpy for all others."""
    return np if isinstance(array, np.ndarray) else jnp


def real(name: str, array: Any) -> Any:
    """Real values of shape [..., n]: float64 of NumPy, float32 or wider of JAX.

    Raises:
        TypeError: for integers (16-bit samples are not waves of -1 .. 1) and complex values.
        ValueError: for a scalar.
    """
    xp = namespace(array)
    array = xp.asarray(array)
    if not xp.issubdtype(array.dtype, xp.floating):
        raise TypeError(
            f"{name}: expected floating-point values, got dtype {array.dtype}; 16-bit samples are "
            f"{name} / 32768.0"
        )
    if array.ndim == 0:
        raise ValueError(f"{name}: expected shape [..., n], got a scalar")
    wider = np.float64 if xp is np else jnp.promote_types(array.dtype, jnp.float32)
    return array.astype(wider)


def hann(n: int) -> Float[np.ndarray, " n"]:
    """The periodic Hann window, sin^2(pi t / n) for t = 0 .. n - 1."""
    return np.sin(np.pi * np.arange(n) / n) ** 2


def num_frames(n: int, fft: int, hop: int, pad: int = 0) -> int:
    """How many frames a signal of n samples has: 1 + (n + 2 pad - fft) // hop."""
    return 1 + (n + 2 * pad - fft) // hop


def frames(x: Float[AnyArray, " *b n"], size: int, hop: int) -> Float[AnyArray, " *b m size"]:
    """Overlapping pieces: piece m is x[m hop : m hop + size]; what is left over is dropped."""
    xp, count, parts = namespace(x), num_frames(x.shape[-1], size, hop), -(-size // hop)
    if count < 1:
        raise ValueError(f"x: {x.shape[-1]} samples are fewer than a frame of {size}: pad first")
    whole = (count - 1 + parts) * hop
    x = _padded(x[..., :whole], 0, max(whole - x.shape[-1], 0))
    blocks = x.reshape(*x.shape[:-1], count - 1 + parts, hop)
    pieces = [blocks[..., i : i + count, :] for i in range(parts)]
    return xp.concatenate(pieces, axis=-1)[..., :size]


def overlap_add(pieces: Float[AnyArray, " *b m size"], hop: int) -> Float[AnyArray, " *b n"]:
    """The transpose of `frames`: pieces added up where they lie, n = (m - 1) hop + size."""
    xp = namespace(pieces)
    *batch, count, size = pieces.shape
    parts = -(-size // hop)
    blocks = _padded(pieces, 0, parts * hop - size).reshape(*batch, count, parts, hop)
    still = [(0, 0)] * len(batch)
    moved = [xp.pad(blocks[..., i, :], [*still, (i, parts - 1 - i), (0, 0)]) for i in range(parts)]
    total = functools.reduce(operator.add, moved)
    return total.reshape(*batch, -1)[..., : (count - 1) * hop + size]


def stft(
    x: Float[AnyArray, " *b n"],
    *,
    fft: int,
    hop: int,
    window: Float[np.ndarray, " w"] | None = None,
    pad: int = 0,
) -> Complex[AnyArray, " *b k m"]:
    """Short-time Fourier transform, k = fft // 2 + 1 bins of m = `num_frames(n, fft, hop, pad)`.

    Args:
        x: signals, shape [..., n].
        fft: L, samples of a frame.
        hop: h, samples from one frame to the next.
        window: shape [w], w <= L; None is `hann(fft)`.
        pad: zeros before and after.

    Raises:
        TypeError: for integer signals.
        ValueError: for a signal shorter than a frame, or sizes that mean nothing, by name.
    """
    x = real("x", x)
    window = checked_window(fft, hop, window, pad)
    return transform(_padded(x, pad, pad), window, fft, hop).swapaxes(-1, -2)


def istft(
    spectrum: Complex[AnyArray, " *b k m"],
    *,
    fft: int,
    hop: int,
    window: Float[np.ndarray, " w"] | None = None,
    pad: int = 0,
    length: int | None = None,
) -> Float[AnyArray, " *b n"]:
    """The signal whose transform is nearest to `spectrum` in the mean square.

    The inverse of `stft` where every sample lies under a window. Where none does the signal is 0.

    Args:
        spectrum: shape [..., fft // 2 + 1, m].
        fft, hop, window, pad: as of `stft`.
        length: samples wanted, filled up with zeros; None is all that the frames cover, but `pad`
            at either end.

    Raises:
        ValueError: for another number of bins, or sizes that mean nothing.
    """
    xp = namespace(spectrum)
    if spectrum.ndim < 2 or spectrum.shape[-2] != fft // 2 + 1:
        raise ValueError(
            f"spectrum: expected shape [..., {fft // 2 + 1}, m] for fft={fft}, got {spectrum.shape}"
        )
    window = checked_window(fft, hop, window, pad)
    spectrum = xp.asarray(spectrum).swapaxes(-1, -2)
    x = inverse(spectrum, window, fft, hop)
    return unpadded(x, pad, length)


def unpadded(
    x: Float[AnyArray, " *b n"], pad: int, length: int | None
) -> Float[AnyArray, " *b length"]:
    """`length` samples from number `pad` on, zeros after the last; None leaves `pad` at the end."""
    if length is None:
        return x[..., pad : x.shape[-1] - pad]
    x = x[..., pad : pad + length]
    return _padded(x, 0, length - x.shape[-1])


def checked_window(
    fft: int, hop: int, window: Float[np.ndarray, " w"] | None, pad: int
) -> Float[np.ndarray, " fft"]:
    """The window, in the middle of a frame; raises ValueError for sizes that mean nothing."""
    if fft < 2 or hop < 1 or pad < 0:
        raise ValueError(
            f"fft={fft}, hop={hop}, pad={pad}: give fft >= 2, hop >= 1 and pad >= 0 samples"
        )
    window = hann(fft) if window is None else np.asarray(window, np.float64)
    if window.ndim != 1 or not 1 <= len(window) <= fft:
        raise ValueError(f"window: expected shape [w] with w <= fft={fft}, got {window.shape}")
    if hop > len(window):
        raise ValueError(
            f"hop={hop} leaves gaps between windows of {len(window)}: take hop <= {len(window)}"
        )
    before = (fft - len(window)) // 2
    return np.pad(window, (before, fft - len(window) - before))


def transform(
    x: Float[AnyArray, " *b n"], window: Float[np.ndarray, " fft"], fft: int, hop: int
) -> Complex[AnyArray, " *b m k"]:
    """`stft` without checks and padding, frames before bins."""
    pieces = frames(x, fft, hop)
    return namespace(x).fft.rfft(pieces * _row(window, pieces), axis=-1)


def inverse(
    spectrum: Complex[AnyArray, " *b m k"], window: Float[np.ndarray, " fft"], fft: int, hop: int
) -> Float[AnyArray, " *b n"]:
    """`istft` of frames before bins: everything that the frames cover, padding included."""
    xp = namespace(spectrum)
    pieces = xp.fft.irfft(spectrum, n=fft, axis=-1)
    x = overlap_add(pieces * _row(window, pieces), hop)
    weight = overlap_add(np.tile(window**2, (spectrum.shape[-2], 1)), hop)
    scale = np.where(weight > TINY, 1 / np.maximum(weight, TINY), 0.0)
    return x * _row(scale, x)


def _row(values: np.ndarray, like: Any) -> Any:
    """Along the last axis of `like`, in its dtype."""
    xp = namespace(like)
    return xp.asarray(values, like.dtype).reshape((1,) * (like.ndim - 1) + (-1,))


def _padded(x: Any, before: int, after: int) -> Any:
    return namespace(x).pad(x, [(0, 0)] * (x.ndim - 1) + [(before, after)])
