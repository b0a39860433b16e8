"""The networks of pix2pix: a U-Net from label maps to images, and a discriminator of patches.

Reference:
    Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
    CVPR 2017, arXiv 1611.07004, section 6.1; kernels from N(0, 0.02²), scales of BatchNorm from
    N(1, 0.02²) as in the authors' code.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.dcgan import scale_normal
from gan_mtl.nets.layers import Conv, ConvTranspose, dcgan_normal, leaky_relu
from gan_mtl.nets.noise import Dropout
from gan_mtl.nets.resnet_gan import check_images, check_widths
from gan_mtl.nets.spade import with_noise
from gan_mtl.types import Context


class Pix2PixGenerator(nn.Module):
    """Label maps to images: strided convolutions down, transposed ones up, equal sizes joined.

    Down: 4x4 convolution of stride 2, BatchNorm (not in the first and the last layer), leaky ReLU.
    Up: 4x4 transposed convolution, BatchNorm, dropout in the first layers, ReLU; the last layer has
    neither, and tanh. Dropout is the paper's only noise and stays on in evaluation; latents beside
    the map are possible. BatchNorm runs with running averages in evaluation (there with the
    moments of the batch shown).

    Attributes:
        widths: channels of the layers down, each halving the size; the paper's default is for 256
            pixels. The layers up mirror them.
        channels: of the images.
        dropout: rate.
        dropped: how many of the layers up have dropout.
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512, 512)
    channels: int = 3
    dropout: float = 0.5
    dropped: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(
        self, latents: Float[Array, "n z"], maps: Float[Array, "n h w k"], *, context: Context
    ) -> Float[Array, "n h w channels"]:
        """Images in [-1, 1].

        Args:
            latents: any number, 0 included, stood beside the map at every pixel.
            maps: one-hot; all zeros where the class is not known.
            context: of the pass.
        """
        check_widths(self, self.widths)
        check_images(self, maps, len(self.widths))
        noisy = context._replace(train=True)
        plain: dict[str, Any] = {"kernel_init": dcgan_normal, "dtype": self.dtype}
        found, x = [], with_noise(latents, maps)
        for i, width in enumerate(self.widths):
            x = Conv(width, 4, 2, **plain)(x if not i else leaky_relu(x), context=context)
            if 0 < i < len(self.widths) - 1:
                x = _norm(self.dtype)(x, context=context)
            found.append(x)
        for i, width in enumerate(self.widths[-2::-1]):
            x = jnp.concatenate([x, found[-1 - i]], axis=-1) if i else x
            x = ConvTranspose(width, **plain)(nn.relu(x), context=context)
            x = _norm(self.dtype)(x, context=context)
            if i < self.dropped:
                x = Dropout(self.dropout)(x, context=noisy)
        x = jnp.concatenate([x, found[0]], axis=-1) if len(found) > 1 else x
        x = ConvTranspose(self.channels, name="out", **plain)(nn.relu(x), context=context)
        return jnp.tanh(x)


class PatchDiscriminator(nn.Module):
    """Images and their label maps to a logit for every patch (PatchGAN).

    4x4 convolutions with BatchNorm (not in the first) and leaky ReLU, of stride 2 but for the last
    width; then one of stride 1 to the logit. The default sees patches of 70x70 pixels. Paddings are
    "SAME", so that there are a few patches more than with the paper's one pixel.

    Attributes:
        widths: channels of the layers.
        dtype: compute dtype; logits are float32 or wider.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], maps: Float[Array, "n h w k"], *, context: Context
    ) -> Float[Array, "n p q"]:
        """Logits of "real", one of every h / 2^(len(widths) - 1) by w / ... patches, rounded up."""
        check_widths(self, self.widths)
        if images.ndim != 4 or images.shape[:3] != maps.shape[:3]:
            raise ValueError(
                f"PatchDiscriminator: images of shape {images.shape} with label maps of shape "
                f"{maps.shape}; give [n, h, w, c] and one-hot [n, h, w, k]."
            )
        plain: dict[str, Any] = {"kernel_init": dcgan_normal, "dtype": self.dtype}
        x = jnp.concatenate([images, maps.astype(images.dtype)], axis=-1)
        for i, width in enumerate(self.widths):
            stride = 1 if i and i == len(self.widths) - 1 else 2
            x = Conv(width, 4, stride, **plain)(x, context=context)
            x = leaky_relu(_norm(self.dtype)(x, context=context) if i else x)
        logits = Conv(1, 4, name="out", **plain)(x, context=context)[..., 0]
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def _norm(dtype: Any) -> BatchNorm:
    return BatchNorm(scale_init=scale_normal, dtype=dtype)
