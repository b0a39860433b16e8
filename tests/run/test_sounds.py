"""Samples as sounds: a tone keeps its pitch through every view, files can be read."""

import numpy as np
import pytest

from gan_mtl import audio
from gan_mtl.data import fsdd, to_float
from gan_mtl.data.wav import read_wav
from gan_mtl.run import sounds

TONE = np.sin(2 * np.pi * 1000 * np.arange(8192) / 8000)


def pitch(wave):
    """The loudest frequency in Hz."""
    return np.fft.rfftfreq(len(wave), 1 / 8000)[np.abs(np.fft.rfft(wave)).argmax()]


@pytest.mark.parametrize("name", sorted(fsdd.VIEWS))
def test_a_tone_keeps_its_pitch(name, tmp_path):
    view = sounds.view_of(f"{name}:theo")
    assert view is not None
    pictures = to_float(fsdd.pictures(view, [TONE, 0.5 * TONE]))
    found = sounds.waves(view, pictures)
    assert found.shape == (2, 56 * 64 if name == "fsdd" else 8192)
    for wave in found:
        assert abs(pitch(wave) - 1000) < 40  # a band of the filter bank
    sounds.write(tmp_path, view, pictures)
    read = read_wav(tmp_path / "01.wav")
    assert read.sample_rate == 8000 and len(read.samples) == len(found[1])
    assert np.abs(read.samples).max() > 0.99
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00.wav", "01.wav"]


def test_a_wave_is_shown_as_its_log_mel_picture():
    view, padded = fsdd.VIEWS["fsdd_waves"], fsdd.VIEWS["fsdd_padded"]
    found = sounds.shown(view, audio.compress(TONE)[None, :, None, None])
    wanted = to_float(fsdd.pictures(padded, [TONE]))
    np.testing.assert_allclose(found, wanted, atol=1 / 255)
    assert sounds.shown(padded, wanted) is wanted


def test_other_data_makes_no_sound():
    assert sounds.view_of("mnist") is None
