"""Pairs of encoder and decoder for `games.vae` and its kin, by name.

An encoder gives means and log variances side by side, [n, 2 latent]; a decoder's outputs are those
of a likelihood, not squashed.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.convnets import Norm
from gan_mtl.nets.dcgan import DCGANGenerator, DCGANTrunk
from gan_mtl.nets.layers import lecun
from gan_mtl.nets.mlp import MLPGenerator
from gan_mtl.nets.outputs import Head, Output
from gan_mtl.types import Context


class Encoder(nn.Module):
    """A trunk and a linear layer in one network: images to codes, or to their laws.

    Attributes:
        trunk: images to features [n, ...].
        out: width of the outputs: d for codes, 2 d for means and log variances.
        dtype: compute dtype of the last layer.
    """

    trunk: nn.Module
    out: int
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Shape [n, out]."""
        hidden = self.trunk(images, context=context)  # type: ignore[operator]
        return Head(self.out, dtype=self.dtype)(hidden, context=context)


def dense_vae(
    output_shape: tuple[int, ...],
    latent: int = 20,
    widths: tuple[int, ...] = (500,),
    output: Output = "none",
    dtype: Any = None,
) -> tuple[Head, MLPGenerator]:
    """784 - 500 - 2 x 20 and 20 - 500 - 784 with ReLU: the size of Flax's example.

    Args:
        output_shape: of an image.
        latent: number of latents.
        widths: of the encoder's hidden layers; the decoder has them the other way round.
        output: "none" for a likelihood; "tanh" or "sigmoid" for a generator of images.
        dtype: compute dtype.
    """
    encoder = Head(2 * latent, widths, nn.relu, dtype=dtype)
    return encoder, MLPGenerator(widths[::-1], output_shape, nn.relu, output, dtype=dtype)


def dcgan_vae(
    size: int,
    channels: int,
    latent: int = 64,
    width: int = 32,
    norm: Norm = None,
    output: Output = "none",
    dtype: Any = None,
) -> tuple[Encoder, DCGANGenerator]:
    """DCGAN's discriminator as the encoder, its generator as the decoder, for 8 to 128 pixels.

    Args:
        size, channels: of the square images.
        latent: number of latents.
        width: channels of the layers next to the image.
        norm: of the encoder, as of `DCGANTrunk`.
        output: "none" for a likelihood; "tanh" or "sigmoid" for a generator of images.
        dtype: compute dtype.
    """
    trunk = DCGANTrunk(size, width, norm=norm, kernel_init=lecun, dtype=dtype)
    decoder = DCGANGenerator(size, channels, width, output, dtype=dtype)
    return Encoder(trunk, 2 * latent, dtype), decoder
