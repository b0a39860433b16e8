"""The discriminator of OASIS: a segmentation network with a class more, "fake".

Reference:
    Schönfeld, Sushko, Zhang, Gall, Schiele, Khoreva, "You Only Need Adversarial Supervision for
    Semantic Image Synthesis", ICLR 2021, arXiv 2012.04781; widths and blocks as in its authors'
    code (boschresearch/OASIS, models/discriminator.py).
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, leaky_relu
from gan_mtl.nets.resnet_blocks import GeneratorBlock, TrunkBlock
from gan_mtl.nets.resnet_gan import check_images, check_widths
from gan_mtl.types import Context


class OASISDiscriminator(nn.Module):
    """Images to k + 1 logits of every pixel: a U-Net of residual blocks without norms.

    Encoder blocks halve the size by means; decoder blocks double it and see, beside their
    predecessor's maps, those of the encoder of the same size (but for the first decoder block).
    Leaky ReLU of slope 0.2. One deviation: where a block changes the size and not the channels its
    shortcut is a 1x1 convolution too (there only the resized input).

    Attributes:
        num_classes: k; the last logit is "fake".
        widths: channels of the encoder's blocks; the decoder's mirror them. The default is the
            authors', for images of 256 pixels and more.
        last: channels of the last decoder block.
        spectral: whether all kernels but that of the last 1x1 convolution are spectrally
            normalised.
        dtype: compute dtype.
    """

    num_classes: int
    widths: tuple[int, ...] = (128, 128, 256, 256, 512, 512)
    last: int = 64
    spectral: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n h w k+1"]:
        """Logits, shape [n, h, w, num_classes + 1]."""
        check_widths(self, self.widths)
        check_images(self, images, len(self.widths))
        plain: dict[str, Any] = {
            "activation": leaky_relu,
            "spectral": self.spectral,
            "dtype": self.dtype,
        }
        maps, x = [], images
        for i, width in enumerate(self.widths):
            x = TrunkBlock(width, first=i == 0, wide=True, **plain)(x, context=context)
            maps.append(x)
        for i, width in enumerate((*self.widths[-2::-1], self.last)):
            x = jnp.concatenate([x, maps[-1 - i]], axis=-1) if i else x
            x = GeneratorBlock(width, norm=None, **plain)(x, context=context)
        out = Conv(self.num_classes + 1, 1, dtype=self.dtype, name="out")
        logits = out(x, context=context)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
