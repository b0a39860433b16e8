"""WAV files of waves, there whole or not at all; `data.wav` reads them."""

from __future__ import annotations

import os
import pathlib
import wave

import numpy as np
from jaxtyping import Float

from gan_mtl.run.whole import whole


def write_wav(
    path: str | os.PathLike[str],
    samples: Float[np.ndarray, " n"] | Float[np.ndarray, "n c"],
    sample_rate: int,
) -> pathlib.Path:
    """Writes a file of 16-bit PCM; makes the folder if need be.

    Args:
        path: ends in .wav.
        samples: -1 .. 1, one channel or channels last; louder ones are cut off.
        sample_rate: Hz.

    Raises:
        ValueError: for samples that are not finite, or of another shape or dtype.
    """
    path, samples = pathlib.Path(path), np.asarray(samples)
    if not np.issubdtype(samples.dtype, np.floating) or samples.ndim not in (1, 2):
        raise ValueError(
            f"{path}: samples have dtype {samples.dtype} and shape {list(samples.shape)}; give "
            "floats of -1 .. 1, [n] or [n, channels]"
        )
    if not np.isfinite(samples).all():
        first = np.argwhere(~np.isfinite(samples))[0].tolist()
        raise ValueError(f"{path}: samples{first} is {samples[tuple(first)]}; all must be finite")
    levels = np.rint(samples.astype(np.float64) * 32768).clip(-32768, 32767).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished, wave.open(str(unfinished), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(levels.tobytes())
    return path
