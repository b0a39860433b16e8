"""The slow iteration never gets worse; momentum is closer after as many; phases stay."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import audio

SIZES = {"fft": 64, "hop": 16, "pad": 32}
T = np.arange(512) / 8000
WAVE = np.sin(2 * np.pi * (300 + 500 * T) * T) * np.exp(-T * 8) + 0.3 * np.sin(2 * np.pi * 1700 * T)
WANTED = jnp.abs(audio.stft(jnp.asarray(WAVE, jnp.float32), **SIZES))


def error(found):
    got = jnp.abs(audio.stft(found, **SIZES))
    return float(audio.spectral_convergence(got, WANTED))


@functools.cache
def program(iterations, momentum):
    return jax.jit(
        functools.partial(
            audio.griffin_lim, **SIZES, length=512, iterations=iterations, momentum=momentum
        )
    )


def test_no_iteration_is_worse_and_momentum_is_faster():
    errors = []
    phase = jnp.zeros_like(WANTED)
    for _ in range(9):
        found = program(0, 0.0)(WANTED, phase=phase)
        errors.append(error(found))
        phase = jnp.angle(audio.stft(found, **SIZES))
    assert (np.diff(errors) < 1e-6).all() and errors[-1] < 0.4 * errors[0]
    slow, fast = (error(program(8, momentum)(WANTED)) for momentum in (0.0, 0.99))
    assert slow == pytest.approx(errors[-1], rel=1e-3), "the same as step by step"
    assert fast < 0.8 * slow


def test_true_phases_give_the_signal_back():
    spectrum = audio.stft(jnp.asarray(WAVE, jnp.float32), **SIZES)
    found = program(3, 0.99)(jnp.abs(spectrum), phase=jnp.angle(spectrum))
    np.testing.assert_allclose(found, WAVE, atol=1e-4)


def test_batches_and_silence():
    both = jnp.stack([WANTED, jnp.zeros_like(WANTED)])
    found = program(8, 0.99)(both)
    np.testing.assert_allclose(found[0], program(8, 0.99)(WANTED), atol=1e-4)
    assert not found[1].any(), "silence stays silent"


def test_the_loop_holds_no_convolution():
    """On a CPU that would leave the fast kernel."""
    text = program(8, 0.99).lower(WANTED).as_text()
    assert "while" in text and "fft" in text and "convolution" not in text


def test_bad_input():
    with pytest.raises(ValueError, match=r"momentum=1.0, iterations=32: give a momentum in \[0"):
        audio.griffin_lim(WANTED, **SIZES, momentum=1.0)
    with pytest.raises(ValueError, match=r"magnitude: expected shape \[..., 33, m\]"):
        audio.griffin_lim(WANTED[:5], **SIZES)
    with pytest.raises(ValueError, match="phase: expected shape"):
        audio.griffin_lim(WANTED, **SIZES, phase=jnp.zeros(33))
