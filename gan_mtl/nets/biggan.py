"""BigGAN (Brock, Donahue & Simonyan 2019, arXiv 1809.11096); BigGAN-deep is in `biggan_deep`.

Channels over the width:

| images  | generator's start and blocks | trunk's blocks           | halved |
|---------|------------------------------|--------------------------|--------|
| 32x32   | 4 - 4 - 4 - 4                | 4 - 4 - 4 - 4            | 2      |
| 64x64   | 16 - 16 - 8 - 4 - 2          | 1 - 2 - 4 - 8 - 16       | 4      |
| 128x128 | 16 - 16 - 8 - 4 - 2 - 1      | 1 - 2 - 4 - 8 - 16 - 16  | 5      |

The width is 96 for 128 pixels in the paper, and 64 for 32 pixels in the authors' code. All kernels
are orthogonal at first and spectrally normalised. The condition is an embedding that all layers
share: `ClassEmbedding(num_classes, 128)`, handed to the generator.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.attention import SelfAttention
from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Conv, Dense, Initializer
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.nets.resnet_blocks import GeneratorBlock, TrunkBlock, check_base
from gan_mtl.nets.resnet_gan import check_images, check_widths, pool_places
from gan_mtl.types import Context

orthogonal = nn.initializers.orthogonal()

# Size: (generator's start and blocks, trunk's blocks, blocks that halve), over the width.
TABLE = {
    32: ((4, 4, 4, 4), (4, 4, 4, 4), 2),
    64: ((16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
    128: ((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
}


class BigGANGenerator(nn.Module):
    """Latents and a condition to images, with hierarchical latents.

    The latents are split into 1 + k equal parts for k blocks: the first is the input of the dense
    layer, the others stand, each with the condition, behind one block's conditional norms.

    Attributes:
        widths: channels at the base, then of every block.
        channels: of the images, any number.
        base: height and width of the smallest maps.
        attention: blocks, counted from 0, that are followed by self-attention.
        hierarchical: whether the latents are split; if not, all of them are the input, and the
            condition alone is behind the norms.
        output: "tanh" for images in (-1, 1), "sigmoid" for (0, 1), "none".
        spectral: whether all kernels are spectrally normalised.
        kernel_init: of all kernels.
        dtype: compute dtype; the images are float32 or wider.
    """

    widths: tuple[int, ...]
    channels: int
    base: tuple[int, int] = (4, 4)
    attention: tuple[int, ...] = ()
    hierarchical: bool = True
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
        """Images, shape [n, base[0] * 2^k, base[1] * 2^k, channels].

        Without a condition the parts of the latents are alone behind the norms.
        """
        places, start = check_base(self, self.base), check_widths(self, self.widths)
        first, into_norms = self._split(latents, condition)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        x = Dense(places * start, **plain)(first, context=context)
        x = x.reshape(x.shape[0], *self.base, start)
        for i, (width, into_norm) in enumerate(zip(self.widths[1:], into_norms, strict=True)):
            x = GeneratorBlock(
                width,
                norm="batch" if into_norm is None else "conditional",
                shortcut_init=self.kernel_init,
                norm_keywords=(("gain_init", self.kernel_init), ("bias_init", self.kernel_init)),
                **plain,
            )(x, into_norm, context=context)
            if i in self.attention:
                x = SelfAttention(**plain)(x, context=context)
        x = nn.relu(BatchNorm(dtype=self.dtype)(x, context=context))
        x = Conv(self.channels, name="out", **plain)(x, context=context)
        return squash(x, self.output)

    def _split(self, latents: Array, condition: Array | None) -> tuple[Array, list[Array | None]]:
        """What the dense layer gets, and what is behind each block's norms."""
        with_condition(latents, condition)
        blocks = len(self.widths) - 1
        if not self.hierarchical:
            return latents, [condition] * blocks
        if latents.shape[1] % (blocks + 1):
            near = latents.shape[1] // (blocks + 1) * (blocks + 1) or blocks + 1
            raise ValueError(
                f"BigGANGenerator: latents of {latents.shape[1]} dimensions for {blocks} blocks "
                f"are not {blocks + 1} equal parts; use {near} dimensions, or hierarchical=False."
            )
        first, *parts = jnp.split(latents, blocks + 1, axis=1)
        if condition is None:
            return first, list(parts)
        return first, [jnp.concatenate([condition, part], axis=1) for part in parts]


class BigGANTrunk(nn.Module):
    """Images to features by wide residual blocks, attention, and the sum over places.

    Attributes:
        widths: channels of the blocks.
        halved: how many of the first blocks halve the size.
        attention: blocks, counted from 0, that are followed by self-attention.
        spectral: whether all kernels are spectrally normalised.
        kernel_init: of all kernels.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    halved: int
    attention: tuple[int, ...] = ()
    spectral: bool = True
    kernel_init: Initializer = orthogonal
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Features, shape [n, widths[-1]]."""
        check_widths(self, self.widths)
        check_images(self, images, self.halved)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.kernel_init,
            "dtype": self.dtype,
        }
        x = images
        for i, width in enumerate(self.widths):
            x = TrunkBlock(
                width,
                down=i < self.halved,
                first=i == 0,
                wide=True,
                shortcut_init=self.kernel_init,
                **plain,
            )(x, context=context)
            if i in self.attention:
                x = SelfAttention(**plain)(x, context=context)
        return pool_places(nn.relu(x), "sum")


def biggan_generator(
    size: int,
    channels: int = 3,
    *,
    width: int = 96,
    attention: int | None = None,
    hierarchical: bool = True,
    dtype: Any = None,
) -> BigGANGenerator:
    """The generator for square images.

    Args:
        size: 32, 64 or 128 pixels.
        channels: of the images.
        width: what the channels of the table are multiplied with.
        attention: size of the maps that attention works on (64 for 128 pixels in the paper); None
            is without.
        hierarchical: whether the latents are split between the blocks.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`, or no such maps.
    """
    multiples, _, _ = table(size)
    maps = [8 << i for i in range(len(multiples) - 1)]
    return BigGANGenerator(
        tuple(width * multiple for multiple in multiples),
        channels,
        attention=after(attention, maps),
        hierarchical=hierarchical,
        dtype=dtype,
    )


def biggan_trunk(
    size: int, *, width: int = 96, attention: int | None = None, dtype: Any = None
) -> BigGANTrunk:
    """The discriminator's trunk; its head is `ProjectionHead(num_classes, spectral=True)`.

    Args:
        size: 32, 64 or 128 pixels.
        width: what the channels of the table are multiplied with.
        attention: size of the maps that attention works on; None is without.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`, or no such maps.
    """
    _, multiples, halved = table(size)
    maps = [size >> min(i + 1, halved) for i in range(len(multiples))]
    return BigGANTrunk(
        tuple(width * multiple for multiple in multiples),
        halved,
        attention=after(attention, maps),
        dtype=dtype,
    )


def table(size: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The row of `TABLE`. Raises ValueError for a size that has none."""
    if size not in TABLE:
        raise ValueError(
            f"BigGAN: size={size} is not one of {', '.join(map(str, TABLE))}; other sizes are "
            "BigGANGenerator(widths, channels, base) and BigGANTrunk(widths, halved)."
        )
    return TABLE[size]


def after(attention: int | None, maps: list[int]) -> tuple[int, ...]:
    """The first block whose maps have `attention` pixels a side, if asked for.

    Raises:
        ValueError: there is none.
    """
    if attention is None:
        return ()
    if attention not in maps:
        sizes = ", ".join(map(str, sorted(set(maps))))
        raise ValueError(
            f"BigGAN: attention={attention} is not the size of a block's maps: {sizes}."
        )
    return (maps.index(attention),)
