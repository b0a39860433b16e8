"""From waves to pictures and back, by one frozen description with a hash.

A network trained on the log-mel pictures of one front end is worthless on those of another, and
nothing in the pictures shows it. All that makes the difference stands in `FrontEnd`; its digest
goes into the manifest of a data set.

The way back has two errors that are to be reported apart: bands do not say what their bins were
(`mel.from_mel`), and pictures do not hold phases (`griffin_lim`).
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_mtl.audio import mel as mel_lib
from gan_mtl.audio import spectra
from gan_mtl.audio.griffin_lim import griffin_lim
from gan_mtl.audio.mel import Norm, Scale
from gan_mtl.audio.spectra import AnyArray


class FrontEnd(NamedTuple):
    """What makes a log-mel picture of a wave.

    sample_rate: Hz.
    window: samples under the periodic Hann window.
    hop: samples from one column to the next; a wave of n samples has n / hop columns.
    fft: samples of a frame, window or more, as even or odd as the hop.
    mels: bands, the rows of a picture.
    fmin, fmax: Hz.
    scale, norm: of the bands; see `mel`.
    log_floor: added to the power of a band before the logarithm: silence is its logarithm.
    low, high: of log power, in nats; become -1 and 1, what lies outside is cut off.
    """

    sample_rate: int = 8000
    window: int = 256
    hop: int = 128
    fft: int = 256
    mels: int = 64
    fmin: float = 0.0
    fmax: float = 4000.0
    scale: Scale = "htk"
    norm: Norm = "none"
    log_floor: float = 1e-3
    low: float = -7.0
    high: float = 8.0

    @property
    def pad(self) -> int:
        """Zeros before and after a wave, so that its n samples give n / hop columns."""
        return (self.fft - self.hop) // 2

    @property
    def bank(self) -> Float[np.ndarray, "mels k"]:
        """The matrix of the bands; read only."""
        return _bank(self)

    def check(self) -> None:
        """Raises ValueError for sizes and ranges that mean nothing, by name."""
        if not 1 <= self.hop <= self.window <= self.fft or (self.fft - self.hop) % 2:
            raise ValueError(
                f"hop={self.hop}, window={self.window}, fft={self.fft}: give 1 <= hop <= window "
                "<= fft, with fft - hop even, so that a wave of n samples has n / hop columns"
            )
        if not (self.log_floor > 0 and self.low < self.high):
            raise ValueError(
                f"log_floor={self.log_floor}, low={self.low}, high={self.high}: give a floor "
                "above 0, and low below high"
            )
        _ = self.bank


def digest(front_end: FrontEnd) -> str:
    """sha256 of all fields by name: equal for equal front ends, on every machine.

    Example:
        >>> digest(FrontEnd())[:8] == digest(FrontEnd(fmin=0))[:8]
        True
    """
    defaults = FrontEnd._field_defaults
    fields = front_end._asdict().items()
    text = "\n".join(f"{name}={type(defaults[name])(value)!r}" for name, value in fields)
    return hashlib.sha256(text.encode()).hexdigest()


def log_mel(front_end: FrontEnd, waves: Float[AnyArray, " *b n"]) -> Float[AnyArray, " *b mels m"]:
    """Log power of every band and column, log(power + floor) in nats; m = n / hop.

    A NumPy array is worked on in float64 on the host; see `spectra`.

    Args:
        waves: shape [..., n], -1 .. 1.

    Raises:
        ValueError: for an n that the hop does not divide.
    """
    front_end.check()
    waves = spectra.real("waves", waves)
    if waves.shape[-1] % front_end.hop or not waves.shape[-1]:
        raise ValueError(
            f"waves: {waves.shape[-1]} samples are no multiple of hop={front_end.hop}; fill them "
            "up with zeros, or cut some off"
        )
    found = spectra.stft(waves, **_sizes(front_end))
    power = found.real**2 + found.imag**2
    bands = mel_lib.to_mel(power, front_end.bank)
    return spectra.namespace(bands).log(bands + front_end.log_floor)


def to_pictures(
    front_end: FrontEnd, log_power: Float[AnyArray, " *b mels m"]
) -> Float[AnyArray, " *b mels m 1"]:
    """Log-mel spectra as pictures in [-1, 1]: high tones at the top, time to the right."""
    xp = spectra.namespace(log_power)
    share = (log_power - front_end.low) / (front_end.high - front_end.low)
    return xp.flip(xp.clip(2 * share - 1, -1, 1), axis=-2)[..., None]


def from_pictures(
    front_end: FrontEnd, pictures: Float[AnyArray, " *b mels m 1"]
) -> Float[AnyArray, " *b mels m"]:
    """The log-mel spectra of pictures: the inverse of `to_pictures`, but for what was cut off.

    Raises:
        ValueError: for another height or number of channels.
    """
    if pictures.ndim < 3 or (pictures.shape[-3], pictures.shape[-1]) != (front_end.mels, 1):
        raise ValueError(
            f"pictures: expected shape [..., {front_end.mels}, m, 1], got {pictures.shape}; they "
            "must be of this front end, in their own size"
        )
    share = (spectra.namespace(pictures).flip(pictures[..., 0], axis=-2) + 1) / 2
    return front_end.low + share * (front_end.high - front_end.low)


def pictures(
    front_end: FrontEnd, waves: Float[AnyArray, " *b n"]
) -> Float[AnyArray, " *b mels m 1"]:
    """Pictures in [-1, 1] of waves; `log_mel`, then `to_pictures`."""
    return to_pictures(front_end, log_mel(front_end, waves))


def magnitudes(
    front_end: FrontEnd, log_power: Float[AnyArray, " *b mels m"], iterations: int = 100
) -> Float[Array, " *b k m"]:
    """The magnitudes of the bins that fit log-mel spectra best; `mel.from_mel`."""
    log_power = jnp.asarray(log_power)
    power = jnp.maximum(jnp.exp(log_power) - front_end.log_floor, 0)
    return jnp.sqrt(mel_lib.from_mel(power, front_end.bank, iterations))


def waves(
    front_end: FrontEnd,
    pictures: Float[AnyArray, " *b mels m 1"],
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    bands: int = 100,
) -> Float[Array, " *b n"]:
    """Waves that sound like these pictures, n = m hop. May be traced.

    Args:
        pictures: of this front end, in [-1, 1].
        iterations, momentum: of `griffin_lim`.
        bands: iterations of `mel.from_mel`.
    """
    found = magnitudes(front_end, from_pictures(front_end, pictures), bands)
    return griffin_lim(
        found,
        **_sizes(front_end),
        length=pictures.shape[-2] * front_end.hop,
        iterations=iterations,
        momentum=momentum,
    )


@functools.cache
def _bank(front_end: FrontEnd) -> Float[np.ndarray, "mels k"]:
    bank = mel_lib.mel_filterbank(
        front_end.sample_rate,
        front_end.fft,
        front_end.mels,
        fmin=front_end.fmin,
        fmax=front_end.fmax,
        scale=front_end.scale,
        norm=front_end.norm,
    )
    bank.flags.writeable = False
    return bank


def _sizes(front_end: FrontEnd) -> dict[str, Any]:
    """The arguments that `stft`, `istft` and `griffin_lim` have in common."""
    window = spectra.hann(front_end.window)
    return {"fft": front_end.fft, "hop": front_end.hop, "window": window, "pad": front_end.pad}
