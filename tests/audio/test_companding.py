"""The mu-law and back: fine steps where samples are quiet."""

import jax.numpy as jnp
import numpy as np

from gan_mtl import audio


def test_companding_keeps_quiet_samples():
    x = np.linspace(-1, 1, 1001)
    np.testing.assert_allclose(audio.expand(audio.compress(x)), x, atol=1e-12)
    np.testing.assert_allclose(audio.compress(np.array([1 / 255.0])), np.log(2) / np.log(256))
    quiet = 0.02 * np.random.default_rng(0).normal(size=4000).clip(-3, 3)
    levels = np.round(255 * (audio.compress(quiet) + 1) / 2)
    error = audio.expand(2 * levels / 255 - 1) - quiet
    assert 10 * np.log10(np.mean(quiet**2) / np.mean(error**2)) > 30
    got = audio.compress(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, audio.compress(x), atol=1e-6)
