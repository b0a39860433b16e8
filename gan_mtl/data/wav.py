"""WAV files of plain PCM, 8, 16, 24 or 32 bits, any number of channels. `run.wav` writes them."""

from __future__ import annotations

import pathlib
import wave
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32


class Recording(NamedTuple):
    """What a file holds.

    samples: -1 .. 1 (the largest value of 16 bits is 32767 / 32768), channels last.
    sample_rate: Hz.
    """

    samples: Float32[np.ndarray, "n c"]
    sample_rate: int


def read_wav(path: str | pathlib.Path) -> Recording:
    """Reads a file of PCM samples.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no WAV file of PCM, or is cut off.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with path.open("rb") as file, wave.open(file) as opened:
            parameters = opened.getparams()
            data = opened.readframes(parameters.nframes)
    except (wave.Error, EOFError) as error:
        raise ValueError(
            f"{path} is no WAV file of PCM samples ({error}); convert it, for example to 16-bit PCM"
        ) from error
    width, channels = parameters.sampwidth, parameters.nchannels
    if len(data) != parameters.nframes * channels * width:
        raise ValueError(
            f"{path} is cut off: its header announces {parameters.nframes} samples, and "
            f"{len(data) // (channels * width)} are there; get it again"
        )
    samples = _integers(data, width).astype(np.float64) / 2 ** (8 * width - 1)
    return Recording(samples.reshape(-1, channels).astype(np.float32), parameters.framerate)


def _integers(data: bytes, width: int) -> np.ndarray:
    """Signed samples; 8 bits are unsigned in a file, and 24 bits have no NumPy type."""
    if width == 1:
        return np.frombuffer(data, np.uint8).astype(np.int32) - 128
    if width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return np.pad(parts, ((0, 0), (1, 0))).reshape(-1).view("<i4") >> 8
    return np.frombuffer(data, f"<i{width}")
