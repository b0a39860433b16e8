"""A generator of images from label maps: spatially-adaptive normalisation, and noise of OASIS.

References:
    Park, Liu, Wang, Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR
    2019, arXiv 1903.07291.
    Schönfeld, Sushko, Zhang, Gall, Schiele, Khoreva, "You Only Need Adversarial Supervision for
    Semantic Image Synthesis", ICLR 2021, arXiv 2012.04781; widths and blocks as in its authors'
    code (boschresearch/OASIS, models/generator.py).
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Conv, glorot, leaky_relu
from gan_mtl.nets.resnet_blocks import glorot_wide, upsample
from gan_mtl.nets.resnet_gan import check_images, check_widths
from gan_mtl.types import Context


class SPADE(nn.Module):
    """y = gamma(m) * x_hat + beta(m): batch normalisation whose gain and bias are maps.

    gamma - 1 and beta are convolutions of relu(conv(m)), with m the label map brought to the size
    of x by nearest neighbour; one convolution gives both.

    Attributes:
        hidden: channels of the hidden layer; 128 in the paper.
        momentum, epsilon: as of `BatchNorm`.
        dtype: compute dtype.
    """

    hidden: int = 128
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], maps: Float[Array, "n H W k"], *, context: Context
    ) -> Float[Array, "n h w c"]:
        """`x` normalised, then scaled and shifted at every place by what the map says there."""
        norm = BatchNorm(
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=False,
            use_bias=False,
            dtype=self.dtype,
        )
        x = norm(x, context=context)
        m = shrink(maps, (x.shape[1], x.shape[2]))
        m = Conv(self.hidden, dtype=self.dtype, name="hidden")(m, context=context)
        m = Conv(2 * x.shape[-1], dtype=self.dtype, name="modulation")(nn.relu(m), context=context)
        gain, bias = jnp.split(m, 2, axis=-1)
        return x * (1 + gain) + bias


def shrink(maps: Float[Array, "n H W k"], size: tuple[int, int]) -> Float[Array, "n h w k"]:
    """Nearest neighbour to a size that divides the maps': the upper left pixel of every block.

    Raises:
        ValueError: for another size.
    """
    height, width = maps.shape[1:3]
    if height % size[0] or width % size[1]:
        raise ValueError(
            f"shrink: maps of {height}x{width} pixels to {size[0]}x{size[1]}; give label maps "
            "whose sides are multiples of the features'."
        )
    return maps[:, :: height // size[0], :: width // size[1]]


class SPADEBlock(nn.Module):
    """x + conv(act(spade(conv(act(spade(x)))))), the size kept; leaky ReLU of slope 0.2.

    Where channels change, the shortcut is a 1x1 convolution, without bias, of a SPADE of its own.

    Attributes:
        features: channels out; the hidden layer has the fewer of those in and out.
        hidden: of the SPADE layers.
        spectral: whether the convolutions outside of SPADE are spectrally normalised.
        dtype: compute dtype.
    """

    features: int
    hidden: int = 128
    spectral: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], maps: Float[Array, "n H W k"], *, context: Context
    ) -> Float[Array, "n h w features"]:
        """Shape [n, h, w, features]."""
        plain: dict[str, Any] = {"spectral": self.spectral, "dtype": self.dtype}

        def spade(x: Array) -> Array:
            return SPADE(self.hidden, dtype=self.dtype)(x, maps, context=context)

        middle = min(x.shape[-1], self.features)
        first = Conv(middle, kernel_init=glorot_wide, **plain)
        second = Conv(self.features, kernel_init=glorot_wide, **plain)
        h = first(leaky_relu(spade(x)), context=context)
        h = second(leaky_relu(spade(h)), context=context)
        if x.shape[-1] == self.features:
            return x + h
        shortcut = Conv(
            self.features, 1, use_bias=False, kernel_init=glorot, name="shortcut", **plain
        )
        return shortcut(spade(x), context=context) + h


class SPADEGenerator(nn.Module):
    """Latents and label maps to images, with the map (and the latents) seen by every layer.

    The map, with the latents beside it at every pixel ("3D noise"), is shrunk and convolved; then
    blocks, each but the last followed by nearest-neighbour upsampling; a 3x3 convolution and tanh.

    Attributes:
        widths: channels of the first map and of the blocks: one block more than halvings. The
            default is the authors', for images of 256 pixels and more.
        channels: of the images.
        hidden: of the SPADE layers.
        spectral: as of `SPADEBlock`.
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (1024, 1024, 1024, 512, 256, 128, 64)
    channels: int = 3
    hidden: int = 128
    spectral: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"] | Float[Array, "n h w z"],
        maps: Float[Array, "n h w k"],
        *,
        context: Context,
    ) -> Float[Array, "n h w channels"]:
        """Images in [-1, 1].

        Args:
            latents: of an image, the same at all of its pixels as in the authors' training, or of
                every pixel, to draw a part of an image anew.
            maps: one-hot; all zeros where the class is not known.
            context: of the pass.
        """
        check_widths(self, self.widths)
        blocks = len(self.widths) - 1
        if not blocks:
            raise ValueError(
                f"SPADEGenerator: widths={self.widths}; give the first map's and a block's at "
                "least, two numbers."
            )
        check_images(self, maps, blocks - 1)
        seen = with_noise(latents, maps)
        size = (maps.shape[1] >> blocks - 1, maps.shape[2] >> blocks - 1)
        first = Conv(self.widths[0], dtype=self.dtype, name="first")
        x = first(shrink(seen, size), context=context)
        for i, width in enumerate(self.widths[1:]):
            x = upsample(x) if i else x
            block = SPADEBlock(width, self.hidden, self.spectral, self.dtype)
            x = block(x, seen, context=context)
        out = Conv(self.channels, dtype=self.dtype, name="out")
        return jnp.tanh(out(leaky_relu(x), context=context))


def with_noise(
    latents: Float[Array, "n z"] | Float[Array, "n h w z"], maps: Float[Array, "n h w k"]
) -> Float[Array, "n h w z+k"]:
    """Latents beside the label map at every pixel.

    Raises:
        ValueError: for latents of other examples, or of another size than the maps'.
    """
    if latents.ndim == 2 and len(latents) == len(maps):
        shape = (*maps.shape[:3], latents.shape[-1])
        latents = jnp.broadcast_to(latents[:, None, None], shape)
    if maps.ndim != 4 or latents.ndim != 4 or latents.shape[:3] != maps.shape[:3]:
        raise ValueError(
            f"latents of shape {latents.shape} for label maps of shape {maps.shape}; give latents "
            "[n, z] or [n, h, w, z], and one-hot maps [n, h, w, k]."
        )
    return jnp.concatenate([latents.astype(maps.dtype), maps], axis=-1)
