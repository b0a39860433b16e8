"""Scales at known points, filters by their definition, and SciPy's non-negative least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from gan_mtl import audio

SCALES = ("slaney", "htk")


def test_known_points():
    """HTK: 1000 mels are near 1000 Hz; Slaney: 15 mels a kHz, 27 more for a factor of 6.4."""
    np.testing.assert_allclose(audio.hz_to_mel(1000.0, "htk"), 2595 * np.log10(17 / 7))
    np.testing.assert_allclose(audio.hz_to_mel(1000.0, "htk"), 1000, rtol=1e-4)
    np.testing.assert_allclose(audio.hz_to_mel([60.0, 500.0, 1000.0]), [0.9, 7.5, 15])
    np.testing.assert_allclose(audio.hz_to_mel(6400.0), 42)


@pytest.mark.parametrize("scale", SCALES)
def test_scales_rise_and_are_inverted(scale):
    hz = np.linspace(0, 12000, 400)
    mels = audio.hz_to_mel(hz, scale)
    assert (np.diff(mels) > 0).all() and mels[0] == 0
    np.testing.assert_allclose(audio.mel_to_hz(mels, scale), hz, atol=1e-8)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("norm", ["slaney", "none"])
def test_filters_by_their_definition(scale, norm):
    rate, fft, mels, fmin, fmax = 16000, 512, 20, 50.0, 7000.0
    got = audio.mel_filterbank(rate, fft, mels, fmin=fmin, fmax=fmax, scale=scale, norm=norm)
    low, high = audio.hz_to_mel([fmin, fmax], scale)
    edges = [audio.mel_to_hz(low + i * (high - low) / (mels + 1), scale) for i in range(mels + 2)]
    for i in range(mels):
        a, b, c = edges[i : i + 3]
        for k in range(fft // 2 + 1):
            f = k * rate / fft
            want = (f - a) / (b - a) if a < f <= b else (c - f) / (c - b) if b < f < c else 0.0
            scaled = want * (2 / (c - a) if norm == "slaney" else 1)
            assert got[i, k] == pytest.approx(scaled, abs=1e-9)


def test_areas_and_heights():
    """Slaney's triangles have area 1 in Hz; a chirp through HTK's without norm sums to 1 inside."""
    bank = audio.mel_filterbank(16000, 4096, 10)
    np.testing.assert_allclose(bank.sum(axis=1) * 16000 / 4096, 1, rtol=0.01)
    plain = audio.mel_filterbank(16000, 512, 20, scale="htk", norm="none")
    inside = np.arange(257) * 16000 / 512
    ends = audio.mel_to_hz(audio.hz_to_mel(8000.0, "htk") * np.array([1, 20]) / 21, "htk")
    between = (inside > ends[0]) & (inside < ends[1])
    np.testing.assert_allclose(plain.sum(axis=0)[between], 1, rtol=1e-6)


def test_from_mel_against_scipy():
    bank = audio.mel_filterbank(8000, 64, 12, scale="htk", norm="none")
    power = np.random.default_rng(1).exponential(size=(33, 3))
    power[::4] = 0
    mel = bank @ power
    noisy = mel * np.array([1, 1, 0.0]) + np.linspace(1, -1, 12)[:, None] * np.array([0, 0.5, 1])
    found = np.asarray(jax.jit(lambda m: audio.from_mel(m, bank, 600))(jnp.asarray(noisy)))
    assert found.min() >= 0
    for i in range(3):
        _, best = optimize.nnls(bank, noisy[:, i])
        ours = np.linalg.norm(bank @ found[:, i] - noisy[:, i])
        assert ours <= best + 2e-3 * np.linalg.norm(noisy[:, i])


def test_more_iterations_fit_better():
    bank = audio.mel_filterbank(8000, 256, 40, scale="htk", norm="none")
    power = np.random.default_rng(2).exponential(size=(2, 129, 4)).astype(np.float32) ** 3
    mel = audio.to_mel(jnp.asarray(power), bank)
    errors = [
        float(jnp.abs(audio.to_mel(audio.from_mel(mel, bank, i), bank) - mel).mean())
        for i in (0, 20, 200)
    ]
    assert errors[2] < errors[1] < errors[0] and errors[2] < 0.01 * float(mel.mean())


def test_bad_input():
    with pytest.raises(ValueError, match=r"no bin of fft=64 lies in band 0 \(0 to 77 Hz, 13 such"):
        audio.mel_filterbank(8000, 64, 60)
    with pytest.raises(ValueError, match=r"fmin=0\.0, fmax=5000: give 0 <= fmin < fmax"):
        audio.mel_filterbank(8000, 64, 6, fmax=5000)
    with pytest.raises(ValueError, match="scale='bark' is not 'slaney' or 'htk'"):
        audio.hz_to_mel(3.0, "bark")
    with pytest.raises(ValueError, match=r"mel: expected shape \[..., 12, m\], got \(5, 3\)"):
        audio.from_mel(jnp.zeros((5, 3)), np.ones((12, 33)))
