"""WaveGAN: waves by one-dimensional transposed convolutions, told apart up to a shift of phase.

DCGAN with windows of 25 samples in place of 5x5 pixels and strides of 4 in place of 2x2. Waves are
pictures of one column, [n, samples, 1, channels]. For 16,384 samples, width d = 64, 100 latents and
one channel the generator has 19,065,345 parameters, the trunk and its head 17,427,969.

Donahue, McAuley, Puckette, "Adversarial Audio Synthesis", ICLR 2019, arXiv 1802.04208.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.nets.layers import Conv, ConvTranspose, Dense, Initializer, flatten, leaky_relu, lecun
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.types import Context

LAYERS, STRIDE, WINDOW = 5, 4, 25


def shuffle_phase(
    x: Float[Array, "n t 1 c"], radius: int, context: Context
) -> Float[Array, "n t 1 c"]:
    """Every example shifted in time by -radius .. radius samples, reflections filling the ends.

    The shift is drawn for each example, uniformly, and is the same for all its channels, so that
    the law of a batch does not depend on its size (the authors' code draws one for the batch).

    Args:
        x: maps of a wave, t above radius.
        radius: n of the paper; 0 changes nothing.
        context: the draws belong to the global examples.

    Raises:
        ValueError: for a radius below 0, or one that t samples cannot reflect.
    """
    t = x.shape[1]
    if not 0 <= radius < t:
        raise ValueError(f"shuffle_phase: radius={radius}: expected 0 to {t - 1} for {t} samples.")
    if radius == 0:
        return x
    shifts = draws.integers(x.shape[0], 2 * radius + 1, context) - radius
    at = jnp.abs(jnp.arange(t)[None] - shifts[:, None])  # reflected at the first sample
    at = (t - 1) - jnp.abs((t - 1) - at)  # and at the last
    return jnp.take_along_axis(x, at[:, :, None, None], axis=1)


class PhaseShuffle(nn.Module):
    """`shuffle_phase` in training; the identity in evaluation.

    Attributes:
        radius: n, 2 in the paper.
    """

    radius: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "n t 1 c"], *, context: Context) -> Float[Array, "n t 1 c"]:
        """Same shape; every example has its own shift."""
        if not context.train or not self.radius:
            return x
        return shuffle_phase(x, self.radius, context._replace(key=self.make_rng("draws")))


class WaveGANGenerator(nn.Module):
    """Latents (and a condition) to waves: a dense layer, then five transposed convolutions.

    z - [s, 16d] - [4s, 8d] - [16s, 4d] - [64s, 2d] - [256s, d] - [1024s, channels], ReLU inside.

    Attributes:
        samples: of a wave, a multiple of 1024; 16,384 in the paper.
        channels: of the waves.
        width: d, 64 in the paper.
        output: "tanh" for waves in (-1, 1), "none".
        kernel_init: initialiser of kernels.
        dtype: compute dtype; the waves are float32 or wider.
    """

    samples: int = 16_384
    channels: int = 1
    width: int = 64
    output: Output = "tanh"
    kernel_init: Initializer = lecun
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n samples 1 channels"]:
        """Waves, shape [n, samples, 1, channels]."""
        start, rest = divmod(self.samples, STRIDE**LAYERS)
        if rest or not start:
            raise ValueError(
                f"WaveGANGenerator: samples={self.samples} is no multiple of {STRIDE**LAYERS}; "
                "pad or cut the waves."
            )
        plain: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        width = self.width * 2 ** (LAYERS - 1)
        x = with_condition(latents, condition)
        x = nn.relu(Dense(start * width, **plain)(x, context=context))
        x = x.reshape(x.shape[0], start, 1, width)
        for layer in range(1, LAYERS):
            up = ConvTranspose(width >> layer, (WINDOW, 1), (STRIDE, 1), **plain)
            x = nn.relu(up(x, context=context))
        out = ConvTranspose(self.channels, (WINDOW, 1), (STRIDE, 1), name="out", **plain)
        return squash(out(x, context=context), self.output)


class WaveGANTrunk(nn.Module):
    """Waves to features by five convolutions of stride 4, leaky ReLU; heads attach to them.

    Attributes:
        width: channels of the first layer; each layer after has twice as many.
        radius: of the phase shuffle after all layers but the last; 0 leaves it out.
        kernel_init: initialiser of kernels.
        dtype: compute dtype.
    """

    width: int = 64
    radius: int = 2
    kernel_init: Initializer = lecun
    dtype: Any = None

    @nn.compact
    def __call__(self, waves: Float[Array, "n t 1 c"], *, context: Context) -> Float[Array, "n d"]:
        """Features, shape [n, t / 1024 * 16 width]."""
        if waves.ndim != 4 or waves.shape[2] != 1 or waves.shape[1] % STRIDE**LAYERS:
            raise ValueError(
                f"WaveGANTrunk: waves of shape {waves.shape}; it takes [n, t, 1, channels] with t "
                f"a multiple of {STRIDE**LAYERS}."
            )
        x = waves
        for layer in range(LAYERS):
            down = Conv(
                self.width << layer,
                (WINDOW, 1),
                (STRIDE, 1),
                kernel_init=self.kernel_init,
                dtype=self.dtype,
            )
            x = leaky_relu(down(x, context=context))
            if layer < LAYERS - 1:
                x = PhaseShuffle(self.radius)(x, context=context)
        return flatten(x)
