"""The U-Net discriminator (Schönfeld, Schiele & Khoreva 2020, arXiv 2002.12655).

An encoder of BigGAN's blocks judges the image, and a decoder of as many blocks every pixel of it.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_mtl.nets.attention import SelfAttention
from gan_mtl.nets.biggan import after, orthogonal
from gan_mtl.nets.layers import Conv, Dense, Initializer, look_up
from gan_mtl.nets.outputs import ProjectionHead
from gan_mtl.nets.resnet_blocks import GeneratorBlock, TrunkBlock
from gan_mtl.nets.resnet_gan import check_images, check_widths, pool_places
from gan_mtl.nets.spectral import spectral_kernel
from gan_mtl.types import Context, Network, PyTree


class UNetDiscriminator(nn.Module):
    """Images to one logit for each image and one for each of its pixels.

    Encoder blocks halve the size; decoder blocks double it and see, beside their predecessor's
    maps, those of the encoder of the same size (but for the first decoder block). Decoder widths
    mirror the encoder's: for (1, 2, 4) they are (2, 1, 1). With classes both kinds of logits have a
    projection: <emb(y), h>, of the pooled features and of every pixel's.

    Attributes:
        widths: channels of the encoder's blocks.
        attention: encoder blocks, counted from 0, that are followed by self-attention.
        num_classes: labels are 0 .. num_classes - 1; None is without labels.
        spectral: whether all kernels but that of the last 1x1 convolution are spectrally
            normalised, as in the authors' code.
        kernel_init: of all kernels.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    attention: tuple[int, ...] = ()
    num_classes: int | None = None
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "n h w c"],
        labels: Int[Array, " n"] | None = None,
        *,
        context: Context,
    ) -> tuple[Float[Array, " n"], Float[Array, "n h w"]]:
        """Logits of "real": of images, shape [n], and of pixels, shape [n, h, w]."""
        check_widths(self, self.widths)
        check_images(self, images, len(self.widths))
        if (labels is None) != (self.num_classes is None):
            given = "no labels" if labels is None else f"labels of shape {labels.shape}"
            raise ValueError(
                f"UNetDiscriminator: num_classes={self.num_classes} with {given}; both or neither."
            )
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "shortcut_init": self.kernel_init,
            "dtype": self.dtype,
        }
        maps, x = [], images
        for i, width in enumerate(self.widths):
            x = TrunkBlock(width, first=i == 0, wide=True, **plain)(x, context=context)
            if i in self.attention:
                attention = SelfAttention(self.spectral, self.kernel_init, self.dtype)
                x = attention(x, context=context)
            maps.append(x)
        logits = self._global(pool_places(nn.relu(x), "sum"), labels, context)
        for i, width in enumerate((*self.widths[-2::-1], self.widths[0])):
            x = jnp.concatenate([x, maps[-1 - i]], axis=-1) if i else x
            x = GeneratorBlock(width, norm=None, **plain)(x, context=context)
        return logits, self._per_pixel(x, labels, context)

    def _global(self, h: Array, labels: Array | None, context: Context) -> Float[Array, " n"]:
        if labels is None or self.num_classes is None:
            out = Dense(
                1,
                spectral=self.spectral,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                name="global",
            )
            return out(h, context=context)[:, 0]
        head = ProjectionHead(self.num_classes, self.spectral, self.dtype, name="global")
        return head(h, labels, context=context)

    def _per_pixel(self, x: Array, labels: Array | None, context: Context) -> Float[Array, "n h w"]:
        out = Conv(1, 1, kernel_init=self.kernel_init, dtype=self.dtype, name="pixels")
        logits = out(x, context=context)[..., 0]
        if labels is None or self.num_classes is None:
            return logits
        shape = (self.num_classes, x.shape[-1])
        table = self.param("embedding", nn.initializers.lecun_normal(1, 0), shape, jnp.float32)
        table = spectral_kernel(self, table, context) if self.spectral else table
        x, table = promote_dtype(x, table, dtype=self.dtype)
        return logits + jnp.einsum("nhwc,nc->nhw", x, look_up(table, labels))


def joined_logits(network: Network) -> Network:
    """A network of both kinds of logits with them in one row per example, shape [n, 1 + h w].

    As a trunk without `disc` it is the discriminator of `games.gan` with `losses.per_pixel`.
    """

    def apply(variables: dict[str, PyTree], *inputs: Any, context: Context):
        (logits, pixels), state = network.apply(variables, *inputs, context=context)
        return jnp.concatenate([logits[:, None], pixels.reshape(len(logits), -1)], axis=1), state

    return Network(network.init, apply)


def unet_discriminator(
    size: int,
    *,
    width: int = 64,
    attention: int | None = None,
    num_classes: int | None = None,
    dtype: Any = None,
) -> UNetDiscriminator:
    """The discriminator for square images: widths 1 - 2 - 4 - 8 - 16 (- 8 - 16 for 256) times 64.

    Args:
        size: 128 or 256 pixels, as published.
        width: channels of the first block.
        attention: size of the encoder's maps that attention works on; None is without.
        num_classes: of the labels; None is without.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`, or no such maps.
    """
    known = {128: (1, 2, 4, 8, 16), 256: (1, 2, 4, 8, 8, 16)}
    if size not in known:
        raise ValueError(
            f"unet_discriminator: size={size} is not 128 or 256; other sizes are "
            "UNetDiscriminator(widths), one width per halving."
        )
    widths = tuple(width * multiple for multiple in known[size])
    maps = [size >> i + 1 for i in range(len(widths))]
    return UNetDiscriminator(widths, after(attention, maps), num_classes, dtype=dtype)
