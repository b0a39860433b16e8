"""BigGAN-deep (Brock, Donahue & Simonyan 2019, arXiv 1809.11096).

Blocks have a bottleneck of a quarter of the channels and four convolutions (1x1, 3x3, 3x3, 1x1);
shortcuts keep or drop channels instead of projecting them. All latents stand, with the shared
embedding, behind every norm, and are the input too. Two blocks per size, the generator's second one
doubling it, the trunk's first one halving it. Sizes and channels otherwise as in `biggan.TABLE`.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.attention import SelfAttention
from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.biggan import after, orthogonal, table
from gan_mtl.nets.conditional_norm import ConditionalBatchNorm
from gan_mtl.nets.layers import Conv, Dense, Initializer
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.nets.resnet_blocks import check_base, mean_pool, upsample
from gan_mtl.nets.resnet_gan import check_images, check_widths, pool_places
from gan_mtl.types import Context


class DeepGeneratorBlock(nn.Module):
    """Four times norm, ReLU, convolution; the shortcut drops channels where there are fewer.

    Attributes:
        features: channels out, at most those of the input.
        up: whether the size doubles, after the second norm.
        ratio: of the input's channels to the bottleneck's.
        spectral, kernel_init, dtype: of all kernels; compute dtype.
    """

    features: int
    up: bool
    ratio: int = 4
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], condition: Float[Array, "n e"], *, context: Context
    ) -> Float[Array, "n H W features"]:
        """Shape [n, 2 h, 2 w, features], or [n, h, w, features] without `up`."""
        if self.features > x.shape[-1]:
            raise ValueError(
                f"DeepGeneratorBlock: features={self.features} of {x.shape[-1]} channels; the "
                "shortcut drops channels and cannot add any: widths may not rise."
            )
        plain: dict[str, Any] = {"spectral": self.spectral, "dtype": self.dtype}
        hidden = max(x.shape[-1] // self.ratio, 1)
        resize = upsample if self.up else lambda x: x
        h = x
        for i, (width, size) in enumerate(((hidden, 1), (hidden, 3), (hidden, 3), (None, 1))):
            norm = ConditionalBatchNorm(
                gain_init=self.kernel_init, bias_init=self.kernel_init, **plain
            )
            h = nn.relu(norm(h, condition, context=context))
            h = resize(h) if i == 1 else h
            conv = Conv(width or self.features, size, kernel_init=self.kernel_init, **plain)
            h = conv(h, context=context)
        return h + resize(x[..., : self.features])


class DeepTrunkBlock(nn.Module):
    """Four times ReLU, convolution; the shortcut adds channels by a 1x1 convolution.

    Attributes:
        features: channels out, at least those of the input.
        down: whether the size halves, before the last convolution.
        ratio: of the channels out to the bottleneck's.
        spectral, kernel_init, dtype: of all kernels; compute dtype.
    """

    features: int
    down: bool
    ratio: int = 4
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n H W features"]:
        """Shape [n, h / 2, w / 2, features], or [n, h, w, features] without `down`."""
        more = self.features - x.shape[-1]
        if more < 0:
            raise ValueError(
                f"DeepTrunkBlock: features={self.features} of {x.shape[-1]} channels; the shortcut "
                "adds channels and cannot drop any: widths may not fall."
            )
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        hidden = max(self.features // self.ratio, 1)
        pool = mean_pool if self.down else lambda x: x
        h = x
        for width, size in ((hidden, 1), (hidden, 3), (hidden, 3)):
            h = Conv(width, size, **plain)(nn.relu(h), context=context)
        h = Conv(self.features, 1, **plain)(pool(nn.relu(h)), context=context)
        x = pool(x)
        if more:
            shortcut = Conv(more, 1, name="shortcut", **plain)
            x = jnp.concatenate([x, shortcut(x, context=context)], axis=-1)
        return h + x


class BigGANDeepGenerator(nn.Module):
    """Latents and a condition to images by pairs of bottleneck blocks.

    Attributes:
        widths: channels at the base, then at every size; they may not rise.
        channels: of the images, any number.
        base: height and width of the smallest maps.
        attention: sizes, counted from 0, whose last block is followed by self-attention.
        depth: blocks per size.
        output, spectral, kernel_init, dtype: as of `BigGANGenerator`.
    """

    widths: tuple[int, ...]
    channels: int
    base: tuple[int, int] = (4, 4)
    attention: tuple[int, ...] = ()
    depth: int = 2
    output: Output = "tanh"
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n H W channels"]:
        """Images, shape [n, base[0] * 2^k, base[1] * 2^k, channels]."""
        places, start = check_base(self, self.base), check_widths(self, self.widths)
        both = with_condition(latents, condition)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        x = Dense(places * start, **plain)(both, context=context)
        x = x.reshape(x.shape[0], *self.base, start)
        for i, width in enumerate(self.widths[1:]):
            for k in range(self.depth):
                last = k == self.depth - 1
                features = width if last else x.shape[-1]
                x = DeepGeneratorBlock(features, last, **plain)(x, both, context=context)
            if i in self.attention:
                x = SelfAttention(**plain)(x, context=context)
        x = nn.relu(BatchNorm(dtype=self.dtype)(x, context=context))
        x = Conv(self.channels, name="out", **plain)(x, context=context)
        return squash(x, self.output)


class BigGANDeepTrunk(nn.Module):
    """Images to features: a convolution, pairs of bottleneck blocks, the sum over places.

    Attributes:
        widths: channels of the first convolution, then at every size; they may not fall.
        halved: how many of the first sizes halve.
        attention: sizes, counted from 0, whose last block is followed by self-attention.
        depth: blocks per size.
        spectral, kernel_init, dtype: of all kernels; compute dtype.
    """

    widths: tuple[int, ...]
    halved: int
    attention: tuple[int, ...] = ()
    depth: int = 2
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Features, shape [n, widths[-1]]."""
        stem = check_widths(self, self.widths)
        check_images(self, images, self.halved)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        x = Conv(stem, **plain)(images, context=context)
        for i, width in enumerate(self.widths[1:]):
            for k in range(self.depth):
                x = DeepTrunkBlock(width, i < self.halved and k == 0, **plain)(x, context=context)
            if i in self.attention:
                x = SelfAttention(**plain)(x, context=context)
        return pool_places(nn.relu(x), "sum")


def biggan_deep_generator(
    size: int,
    channels: int = 3,
    *,
    width: int = 128,
    attention: int | None = None,
    dtype: Any = None,
) -> BigGANDeepGenerator:
    """The generator for square images; arguments and errors as of `biggan_generator`."""
    multiples, _, _ = table(size)
    maps = [8 << i for i in range(len(multiples) - 1)]
    return BigGANDeepGenerator(
        tuple(width * multiple for multiple in multiples),
        channels,
        attention=after(attention, maps),
        dtype=dtype,
    )


def biggan_deep_trunk(
    size: int, *, width: int = 128, attention: int | None = None, dtype: Any = None
) -> BigGANDeepTrunk:
    """The discriminator's trunk; arguments and errors as of `biggan_trunk`.

    Of the trunk's channels in `biggan.TABLE` the first are those of the first convolution.
    """
    _, multiples, halved = table(size)
    maps = [size >> min(i + 1, halved) for i in range(len(multiples) - 1)]
    return BigGANDeepTrunk(
        tuple(width * multiple for multiple in multiples),
        halved,
        attention=after(attention, maps),
        dtype=dtype,
    )
