"""Residual GANs: SNGAN (Miyato et al. 2018) and WGAN-GP (Gulrajani et al. 2017), any size.

| images  | generator, channels of start and blocks  | trunk, channels of blocks     | halved |
|---------|------------------------------------------|-------------------------------|--------|
| 32x32   | 256 - 256 - 256 - 256                    | 128 - 128 - 128 - 128         | 2      |
| 48x48   | 512 - 256 - 128 - 64, from 6x6           | 64 - 128 - 256 - 512 - 1024   | 4      |
| 64x64   | 1024 - 512 - 256 - 128 - 64              | 64 - 128 - 256 - 512 - 1024   | 5      |
| 128x128 | 1024 - 1024 - 512 - 256 - 128 - 64       | 64 - ... - 512 - 1024 - 1024  | 5      |

Other sizes, and oblong ones, are given by widths and a base: `ResNetGenerator((64, 64, 32), 3,
base=(3, 5))` makes 12x20 images. Latents are N(0, I_128) in both papers.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.attention import SelfAttention
from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.conditional_norm import GeneratorNorm, check_generator_norm
from gan_mtl.nets.layers import Conv, Dense, Initializer, flatten, glorot
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.nets.resnet_blocks import (
    GeneratorBlock,
    TrunkBlock,
    check_base,
    glorot_wide,
)
from gan_mtl.types import Context

# Size: (base, generator's widths, trunk's widths, blocks that halve), widths over the narrowest.
_SNGAN = {
    32: (4, (1, 1, 1, 1), (1, 1, 1, 1), 2),
    48: (6, (8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
    64: (4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
    128: (4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
}


class ResNetGenerator(nn.Module):
    """Latents to images: a dense layer to the base, then one block per doubling of the size.

    Attributes:
        widths: channels at the base, then of every block.
        channels: of the images, any number.
        base: height and width of the smallest maps.
        output: "tanh" for images in (-1, 1), "sigmoid" for (0, 1), "none".
        norm: "batch": the condition, if any, stands beside the latents; "conditional": it gives
            gains and biases to the blocks' norms (the last norm has its own), as in cGANs with
            projection; "self": latents and condition do so; None.
        spectral: whether all kernels are spectrally normalised.
        kernel_init, shortcut_init: initialisers of the blocks' 3x3 and 1x1 kernels; the other
            kernels are drawn as the latter.
        attention: after how many blocks self-attention stands; 0 is none.
        norm_keywords: further attributes of a conditional norm, as pairs.
        dtype: compute dtype; the images are float32 or wider.
    """

    widths: tuple[int, ...]
    channels: int
    base: tuple[int, int] = (4, 4)
    output: Output = "tanh"
    norm: GeneratorNorm = "batch"
    spectral: bool = False
    kernel_init: Initializer = glorot_wide
    shortcut_init: Initializer = glorot
    attention: int = 0
    norm_keywords: tuple[tuple[str, Any], ...] = ()
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n H W channels"]:
        """Images, shape [n, base[0] * 2^k, base[1] * 2^k, channels], k blocks."""
        both = with_condition(latents, condition)
        into_norm = both if self.norm == "self" else condition
        check_generator_norm("ResNetGenerator", self.norm, into_norm)
        places, start = check_base(self, self.base), check_widths(self, self.widths)
        check_attention(self, self.attention, len(self.widths) - 1)
        plain: dict[str, Any] = {
            "spectral": self.spectral,
            "kernel_init": self.shortcut_init,
            "dtype": self.dtype,
        }
        x = latents if self.norm == "conditional" else both
        x = Dense(places * start, **plain)(x, context=context)
        x = x.reshape(x.shape[0], *self.base, start)
        for i, width in enumerate(self.widths[1:], start=1):
            x = GeneratorBlock(
                width,
                norm=self.norm,
                spectral=self.spectral,
                kernel_init=self.kernel_init,
                shortcut_init=self.shortcut_init,
                norm_keywords=self.norm_keywords,
                dtype=self.dtype,
            )(x, into_norm, context=context)
            x = SelfAttention(**plain)(x, context=context) if i == self.attention else x
        x = BatchNorm(dtype=self.dtype)(x, context=context) if self.norm else x
        x = Conv(self.channels, name="out", **plain)(nn.relu(x), context=context)
        return squash(x, self.output)


class ResNetTrunk(nn.Module):
    """Images to features by residual blocks, the first of them the one that sees images.

    There is no batch normalisation, so a gradient penalty may look through it.

    Attributes:
        widths: channels of the blocks.
        halved: how many of the first blocks halve the size.
        pool: "sum" over places (SNGAN), "mean" (WGAN-GP) or None, which flattens.
        spectral: whether all kernels are spectrally normalised.
        wide: as of `TrunkBlock`.
        kernel_init, shortcut_init: initialisers of 3x3 and 1x1 kernels.
        attention: after how many blocks self-attention stands; 0 is none.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    halved: int
    pool: Literal["sum", "mean"] | None = "sum"
    spectral: bool = True
    wide: bool = False
    kernel_init: Initializer = glorot_wide
    shortcut_init: Initializer = glorot
    attention: int = 0
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Features, shape [n, widths[-1]]; without `pool` times h' * w'."""
        check_widths(self, self.widths)
        check_attention(self, self.attention, len(self.widths))
        check_images(self, images, self.halved)
        x = images
        for i, width in enumerate(self.widths):
            x = TrunkBlock(
                width,
                down=i < self.halved,
                first=i == 0,
                wide=self.wide,
                spectral=self.spectral,
                kernel_init=self.kernel_init,
                shortcut_init=self.shortcut_init,
                dtype=self.dtype,
            )(x, context=context)
            if i + 1 == self.attention:
                attend = SelfAttention(self.spectral, self.shortcut_init, self.dtype)
                x = attend(x, context=context)
        return pool_places(nn.relu(x), self.pool)


def pool_places(
    x: Float[Array, "n h w c"], pool: Literal["sum", "mean"] | None
) -> Float[Array, "n d"]:
    """The sum or the mean over places, shape [n, c]; without either, all in one row.

    Raises:
        ValueError: another `pool`.
    """
    if pool not in ("sum", "mean", None):
        raise ValueError(f"pool={pool!r} is not 'sum', 'mean' or None.")
    if pool is None:
        return flatten(x)
    return jnp.sum(x, axis=(1, 2)) if pool == "sum" else jnp.mean(x, axis=(1, 2))


def sngan_generator(
    size: int,
    channels: int = 3,
    *,
    width: int | None = None,
    conditional: bool = False,
    dtype: Any = None,
) -> ResNetGenerator:
    """The generator of SNGAN (Miyato et al. 2018, arXiv 1802.05957) for square images.

    Widths and sizes are those of the PyTorch library mimicry, whose parameter counts it has; unlike
    there, and as in the authors' code, images grow by nearest neighbours.

    Args:
        size: 32, 48, 64 or 128 pixels.
        channels: of the images.
        width: channels of the last block; None is 256 for 32 pixels and 64 for the others.
        conditional: whether a condition gives the norms' gains and biases (Miyato & Koyama 2018).
        dtype: compute dtype.

    Raises:
        ValueError: another `size`.
    """
    base, multiples, _, _ = _table(size)
    width = width or (256 if size == 32 else 64)
    return ResNetGenerator(
        tuple(width * multiple for multiple in multiples),
        channels,
        (base, base),
        norm="conditional" if conditional else "batch",
        dtype=dtype,
    )


def sngan_trunk(
    size: int, *, width: int | None = None, spectral: bool = True, dtype: Any = None
) -> ResNetTrunk:
    """The discriminator's trunk of SNGAN; its head is `Head(kernel_norm="spectral")`.

    Args:
        size: 32, 48, 64 or 128 pixels.
        width: channels of the first block; None is 128 for 32 pixels and 64 for the others.
        spectral: whether all kernels are spectrally normalised, as published.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`.
    """
    _, _, multiples, halved = _table(size)
    width = width or (128 if size == 32 else 64)
    return ResNetTrunk(
        tuple(width * multiple for multiple in multiples), halved, spectral=spectral, dtype=dtype
    )


def wgan_gp_generator(
    channels: int = 3, *, width: int = 128, conditional: bool = False, dtype: Any = None
) -> ResNetGenerator:
    """The generator of WGAN-GP for CIFAR-10 (Gulrajani et al. 2017, arXiv 1704.00028), 32 pixels.

    Args:
        channels: of the images.
        width: channels everywhere; 128 as published.
        conditional: whether a condition gives the norms' gains and biases.
        dtype: compute dtype.
    """
    return sngan_generator(32, channels, width=width, conditional=conditional, dtype=dtype)


def wgan_gp_trunk(*, width: int = 128, dtype: Any = None) -> ResNetTrunk:
    """The critic's trunk of WGAN-GP for CIFAR-10: without any norm, mean over places.

    Args:
        width: channels everywhere; 128 as published.
        dtype: compute dtype.
    """
    return ResNetTrunk((width,) * 4, 2, pool="mean", spectral=False, dtype=dtype)


def check_widths(module: nn.Module, widths: tuple[int, ...]) -> int:
    """The first width.

    Raises:
        ValueError: there is none.
    """
    if not widths or min(widths) < 1:
        raise ValueError(
            f"{type(module).__name__}: widths={widths}; give one positive width per block."
        )
    return widths[0]


def check_attention(module: nn.Module, attention: int, blocks: int) -> None:
    """Raises ValueError unless `attention` is 0 or a number of blocks."""
    if not 0 <= attention <= blocks:
        raise ValueError(
            f"{type(module).__name__}: attention={attention} with {blocks} blocks; it stands after "
            f"1 to {blocks} blocks, 0 leaves it out."
        )


def check_images(module: nn.Module, images: Array, halved: int) -> None:
    """Raises ValueError unless `images` can be halved so many times."""
    least = 2**halved
    if images.ndim != 4 or any(side % least for side in images.shape[1:3]):
        raise ValueError(
            f"{type(module).__name__}: images of shape {images.shape} with {halved} halvings; it "
            f"takes [n, h, w, c] with sides that are multiples of {least}: resize or pad them."
        )


def _table(size: int) -> Any:
    if size not in _SNGAN:
        raise ValueError(
            f"SNGAN: size={size} is not one of {', '.join(map(str, _SNGAN))}; other sizes are "
            "ResNetGenerator(widths, channels, base) and ResNetTrunk(widths, halved)."
        )
    return _SNGAN[size]
