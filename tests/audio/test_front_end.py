"""Pictures of waves and back, and the hash."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from gan_mtl import audio

SMALL = audio.FrontEnd(window=64, hop=32, fft=64, mels=12)
T = np.arange(2048) / 8000
WAVE = 0.8 * np.sin(2 * np.pi * 1000 * T) * (T < 0.15)


def test_log_mel_against_scipy_and_matrices():
    padded = np.pad(WAVE, 16)
    window = signal.get_window("hann", 64)
    *_, found = signal.stft(
        padded, window=window, nperseg=64, noverlap=32, boundary=None, padded=False
    )
    want = np.log(SMALL.bank @ np.abs(found * window.sum()) ** 2 + SMALL.log_floor)
    np.testing.assert_allclose(audio.log_mel(SMALL, WAVE), want, atol=1e-9)
    got = jax.jit(lambda x: audio.log_mel(SMALL, x))(jnp.asarray(WAVE, jnp.float32))
    np.testing.assert_allclose(got, want, atol=2e-3)
    assert got.shape == (12, 2048 // 32)


def test_pictures_show_low_tones_at_the_bottom_and_time_to_the_right():
    shown = audio.pictures(SMALL, WAVE)
    assert shown.shape == (12, 64, 1) and shown.min() >= -1 and shown.max() <= 1
    silent, loud = shown[:, 45:, 0], shown[:, 5:30, 0]
    quietest = 2 * (np.log(SMALL.log_floor) - SMALL.low) / (SMALL.high - SMALL.low) - 1
    np.testing.assert_allclose(silent, quietest, atol=1e-9)
    centres = audio.mel_to_hz(np.arange(1, 13) / 13 * audio.hz_to_mel(4000.0, "htk"), "htk")
    wanted = 11 - np.abs(centres - 1000).argmin()
    assert (loud.argmax(axis=0) == wanted).all()


def test_pictures_are_inverted_but_for_what_is_cut_off():
    spectrum = audio.log_mel(SMALL, WAVE)
    again = audio.from_pictures(SMALL, audio.to_pictures(SMALL, spectrum))
    np.testing.assert_allclose(again, spectrum.clip(SMALL.low, SMALL.high), atol=1e-12)


def test_waves_sound_like_their_pictures():
    chirp = np.sin(2 * np.pi * (300 + 3000 * T) * T).astype(np.float32)
    shown = audio.pictures(SMALL, jnp.asarray(chirp))
    waves = jax.jit(lambda p: audio.waves(SMALL, p, iterations=16))(shown[None])
    assert waves.shape == (1, 2048)

    def roots(found):
        return jnp.sqrt(jnp.exp(audio.from_pictures(SMALL, found)))

    again = audio.pictures(SMALL, waves[0])
    assert float(audio.spectral_convergence(roots(again), roots(shown))) < 0.15
    assert float(jnp.abs(again - shown).mean()) < 0.2, "of a range of 2, silent parts included"


def test_equal_front_ends_have_equal_hashes_and_every_field_counts():
    one = audio.FrontEnd()
    assert audio.digest(one) == audio.digest(audio.FrontEnd(fmin=0, high=np.float64(8)))
    others = [
        one._replace(**{name: "slaney" if isinstance(value, str) else value + 1})
        for name, value in one._asdict().items()
    ]
    assert len({audio.digest(other) for other in [one, *others]}) == len(one) + 1
    assert audio.digest(one).startswith("7d6f1de5c3fdd531")


def test_bad_input():
    with pytest.raises(ValueError, match="2048 samples are no multiple of hop=30"):
        audio.log_mel(SMALL._replace(hop=30), WAVE)
    with pytest.raises(ValueError, match="hop=65, window=64, fft=64: give 1 <= hop <= window"):
        SMALL._replace(hop=65).check()
    with pytest.raises(ValueError, match="fft - hop even"):
        SMALL._replace(hop=31).check()
    with pytest.raises(ValueError, match=r"log_floor=0, low=-7\.0"):
        SMALL._replace(log_floor=0).check()
    with pytest.raises(ValueError, match=r"pictures: expected shape \[..., 12, m, 1\], got"):
        audio.from_pictures(SMALL, np.zeros((3, 10, 20, 1)))
    with pytest.raises(ValueError, match="no bin of fft=64 lies in band"):
        SMALL._replace(mels=60).check()
