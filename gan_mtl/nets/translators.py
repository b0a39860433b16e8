"""Generators that repaint an image: as large as it was, by residual blocks at its full size."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Activation, Conv, Dense, Initializer, dcgan_normal
from gan_mtl.types import Context


class ResidualTranslator(nn.Module):
    """PixelDA's generator: a convolution, residual blocks, a 1x1 convolution and tanh.

    Latents become one more channel of the image, by a dense layer, batch normalisation and ReLU. A
    block is x + norm(conv(relu(norm(conv(x))))). As `resnet_generator` of the authors' code for
    Bousmalis et al., "Unsupervised Pixel-Level Domain Adaptation with Generative Adversarial
    Networks", CVPR 2017; sizes are the caller's.

    Attributes:
        channels: of the images that it makes.
        width: channels between.
        blocks: residual ones.
        kernel_size: of the convolutions but the last.
        activation: after the first convolution and in the blocks.
        kernel_init: initialiser of all kernels.
        dtype: compute dtype; the images are float32 or wider.
    """

    channels: int
    width: int = 64
    blocks: int = 4
    kernel_size: int = 3
    activation: Activation = nn.relu
    kernel_init: Initializer = dcgan_normal
    dtype: Any = None

    @nn.compact
    def __call__(self, *inputs: Array, context: Context) -> Float[Array, "n h w channels"]:
        """Images in (-1, 1).

        Args:
            inputs: images [n, h, w, c]; or latents [n, z], and then images.
        """
        common: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        x = self._seen(inputs, common, context)
        conv: dict[str, Any] = {"kernel_size": self.kernel_size, **common}
        x = self.activation(Conv(self.width, **conv, name="first")(x, context=context))
        for i in range(self.blocks):
            y = x
            for j in range(2):
                y = Conv(self.width, use_bias=False, **conv, name=f"conv_{i}_{j}")(
                    y, context=context
                )
                y = BatchNorm(dtype=self.dtype, name=f"norm_{i}_{j}")(y, context=context)
                y = self.activation(y) if j == 0 else y
            x = x + y
        x = Conv(self.channels, 1, **common, name="out")(x, context=context)
        return jnp.tanh(x.astype(jnp.promote_types(x.dtype, jnp.float32)))

    def _seen(
        self, inputs: tuple[Array, ...], common: dict[str, Any], context: Context
    ) -> Float[Array, "n h w c"]:
        """The image, and the latents as a channel of it."""
        *latents, images = inputs
        if images.ndim != 4 or len(latents) > 1 or any(z.ndim != 2 for z in latents):
            raise ValueError(
                f"ResidualTranslator: inputs of shapes {[x.shape for x in inputs]}; give images "
                "[n, h, w, c], or latents [n, z] and images."
            )
        if not latents:
            return images
        n, height, width, _ = images.shape
        z = Dense(height * width, use_bias=False, **common, name="latents")(
            latents[0], context=context
        )
        z = nn.relu(BatchNorm(dtype=self.dtype, name="latents_norm")(z, context=context))
        return jnp.concatenate([images, z.reshape(n, height, width, 1).astype(images.dtype)], -1)
