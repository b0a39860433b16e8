"""Equal to librosa, where the extra `audio` is installed."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import audio

librosa = pytest.importorskip("librosa", reason="librosa is not installed: pip install '.[audio]'")
X = np.random.default_rng(0).normal(size=4000).astype(np.float32)


@pytest.mark.parametrize(("fft", "hop", "width"), [(256, 64, 256), (512, 160, 400)])
def test_stft_and_its_inverse(fft, hop, width):
    sizes = {"fft": fft, "hop": hop, "window": audio.hann(width), "pad": fft // 2}
    want = librosa.stft(X, n_fft=fft, hop_length=hop, win_length=width, pad_mode="constant")
    np.testing.assert_allclose(audio.stft(jnp.asarray(X), **sizes), want, atol=1e-4)
    back = librosa.istft(want, n_fft=fft, hop_length=hop, win_length=width, length=4000)
    found = audio.istft(jnp.asarray(want), **sizes, length=4000)
    np.testing.assert_allclose(found, back, atol=1e-4)


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel(htk, norm):
    want = librosa.filters.mel(
        sr=8000, n_fft=256, n_mels=40, fmin=30, fmax=3900, htk=htk, norm=norm, dtype=np.float64
    )
    scale = "htk" if htk else "slaney"
    got = audio.mel_filterbank(
        8000, 256, 40, fmin=30, fmax=3900, scale=scale, norm="slaney" if norm else "none"
    )
    np.testing.assert_allclose(got, want, atol=1e-10)


def test_griffin_lim_of_the_same_first_phases():
    magnitude = np.abs(librosa.stft(X, n_fft=256, hop_length=64, pad_mode="constant"))
    want = librosa.griffinlim(
        magnitude, n_iter=8, hop_length=64, init=None, pad_mode="constant", length=4000
    )
    got = audio.griffin_lim(
        jnp.asarray(magnitude), fft=256, hop=64, pad=128, length=4000, iterations=8
    )
    np.testing.assert_allclose(got, want, atol=5e-3)
