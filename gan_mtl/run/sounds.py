"""What pictures of spoken words sound like: WAV files of samples, and pictures of waves."""

from __future__ import annotations

import pathlib

import numpy as np
from jaxtyping import Float

from gan_mtl import audio, parallel
from gan_mtl.data import fsdd
from gan_mtl.data.fsdd import View
from gan_mtl.run.wav import write_wav

RATE = 8000  # Hz, of all views
COLUMNS = 56  # that a stretched picture becomes: 0.45 s, about the median of the recordings
FILES = 10


def view_of(name: str, size: int | None = None) -> View | None:
    """How the pictures of a data set are made of recordings; None where they are not.

    Args:
        size: to which the pictures were resized; then they sound like nothing.
    """
    return None if size else fsdd.VIEWS.get(name.partition(":")[0])


def waves(view: View, pictures: Float[np.ndarray, "n h w 1"]) -> Float[np.ndarray, "n samples"]:
    """Waves of pictures in [-1, 1]: exact for waves, by Griffin and Lim's iteration for log-mels.

    A stretched picture does not hold its length: all become 0.45 s long.
    """
    if view.front_end is None:
        return np.asarray(audio.expand(pictures[..., 0, 0]))
    if view.kind == "stretched":
        pictures = fsdd.stretched(pictures[..., 0], COLUMNS)[..., None]
    front_end = view.front_end
    return np.asarray(parallel.compile_function(lambda x: audio.waves(front_end, x))(pictures))


def shown(view: View, pictures: Float[np.ndarray, "n h w 1"]) -> Float[np.ndarray, "n h2 w2 1"]:
    """Pictures in [-1, 1] that an eye or a classifier of pictures takes: log-mels, of waves too."""
    if view.front_end is not None:
        return pictures
    front_end = fsdd.VIEWS["fsdd_padded"].front_end
    assert front_end is not None
    return np.asarray(audio.pictures(front_end, waves(view, pictures)), np.float32)


def write(folder: pathlib.Path, view: View, pictures: Float[np.ndarray, "n h w 1"]) -> None:
    """The first ten as `00.wav` to `09.wav`; a wave is made as loud as it can be."""
    for i, wave in enumerate(waves(view, pictures[:FILES])):
        loudest = max(float(np.abs(wave).max()), 1e-6)
        write_wav(folder / f"{i:02d}.wav", (wave / loudest).astype(np.float32), RATE)
