"""The transform against SciPy and a sum of exponentials; the inverse; NumPy in, NumPy out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from gan_mtl import audio
from gan_mtl.audio import spectra

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 700)).astype(np.float32)


@pytest.mark.parametrize(("fft", "hop", "pad"), [(64, 16, 0), (64, 24, 32), (50, 50, 7)])
def test_against_scipy(fft, hop, pad):
    padded = np.pad(X.astype(float), [(0, 0), (pad, pad)])
    window = signal.get_window("hann", fft)
    *_, want = signal.stft(
        padded, window=window, nperseg=fft, noverlap=fft - hop, boundary=None, padded=False
    )
    got = audio.stft(jnp.asarray(X), fft=fft, hop=hop, pad=pad)
    assert got.shape == (2, fft // 2 + 1, audio.num_frames(700, fft, hop, pad))
    np.testing.assert_allclose(got, want * window.sum(), atol=2e-5)
    exact = audio.stft(X, fft=fft, hop=hop, pad=pad)
    assert isinstance(exact, np.ndarray) and exact.dtype == np.complex128
    np.testing.assert_allclose(exact, want * window.sum(), atol=1e-12)


def test_a_short_window_lies_in_the_middle_of_the_frame():
    window, fft, hop, k, m = np.hamming(10), 16, 5, 3, 4
    t = np.arange(10)
    wanted = (X[0, m * hop + 3 + t] * window * np.exp(-2j * np.pi * k * (t + 3) / fft)).sum()
    got = audio.stft(jnp.asarray(X[0]), fft=fft, hop=hop, window=window)
    np.testing.assert_allclose(got[k, m], wanted, rtol=1e-5)


@pytest.mark.parametrize(("fft", "hop", "width"), [(64, 16, 64), (64, 20, 50), (31, 7, 31)])
def test_round_trip(fft, hop, width):
    sizes = {"fft": fft, "hop": hop, "window": audio.hann(width), "pad": fft // 2}
    again = jax.jit(lambda x: audio.istft(audio.stft(x, **sizes), **sizes, length=600))
    np.testing.assert_allclose(again(jnp.asarray(X[:, :600])), X[:, :600], atol=1e-5)
    host = audio.istft(audio.stft(X[:, :600], **sizes), **sizes, length=600)
    assert host.dtype == np.float64
    np.testing.assert_allclose(host, X[:, :600], atol=1e-12)


def test_what_no_frame_covers_is_silent_and_length_is_kept():
    spectrum = audio.stft(X[0, :100], fft=64, hop=16)
    short = audio.istft(spectrum, fft=64, hop=16)
    assert short.shape == (96,) and short[0] == 0  # the window is 0 there
    np.testing.assert_allclose(short[1:], X[0, 1:96], atol=1e-12)
    longer = audio.istft(spectrum, fft=64, hop=16, length=110)
    assert longer.shape == (110,) and not longer[96:].any()


def test_the_inverse_is_the_least_squares_signal():
    """Griffin & Lim: no signal near it has a transform nearer to an impossible spectrum."""
    target = RNG.normal(size=(17, 9)) + 1j * RNG.normal(size=(17, 9))
    target.imag[[0, -1]] = 0
    sizes = {"fft": 32, "hop": 8, "window": np.hamming(32)}
    weight = np.r_[1, np.full(15, 2), 1][:, None]  # the other half of the spectrum

    def error(x):
        return (weight * np.abs(audio.stft(x, **sizes) - target) ** 2).sum()

    best = audio.istft(target, **sizes)
    step = 1e-4 * np.eye(len(best))
    slopes = [(error(best + s) - error(best - s)) / 2e-4 for s in step]
    np.testing.assert_allclose(slopes, 0, atol=1e-5)


def test_overlap_add_is_the_transpose_of_frames():
    x = RNG.normal(size=47)
    pieces = spectra.frames(x, 9, 4)
    other = RNG.normal(size=pieces.shape)
    back = spectra.overlap_add(other, 4)
    np.testing.assert_allclose((pieces * other).sum(), (x[: len(back)] * back).sum())
    np.testing.assert_array_equal(pieces[3], x[12:21])


def test_float64_and_gradients_on_silence():
    with jax.enable_x64(True):
        spectrum = audio.stft(jnp.asarray(X, jnp.float64), fft=32, hop=8)
        assert spectrum.dtype == jnp.complex128
    front_end = audio.FrontEnd(window=32, hop=16, fft=32, mels=4)
    slope = jax.grad(lambda x: audio.log_mel(front_end, x).sum())(jnp.zeros(64))
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fft": 1, "hop": 1}, "fft=1, hop=1, pad=0: give fft >= 2"),
        ({"fft": 16, "hop": 4, "window": np.ones(17)}, r"w <= fft=16, got \(17,\)"),
        ({"fft": 16, "hop": 12, "window": np.ones(8)}, "hop=12 leaves gaps between windows of 8"),
        ({"fft": 1024, "hop": 4}, "700 samples are fewer than a frame of 1024: pad first"),
    ],
)
def test_bad_sizes(options, message):
    with pytest.raises(ValueError, match=message):
        audio.stft(X, **options)


def test_bad_arrays():
    with pytest.raises(TypeError, match=r"dtype int16; 16-bit samples are x / 32768.0"):
        audio.stft(np.zeros(64, np.int16), fft=16, hop=4)
    with pytest.raises(ValueError, match="got a scalar"):
        audio.stft(jnp.float32(1), fft=16, hop=4)
    with pytest.raises(ValueError, match=r"shape \[..., 9, m\] for fft=16, got \(5, 9\)"):
        audio.istft(jnp.zeros((5, 9), jnp.complex64), fft=16, hop=4)
