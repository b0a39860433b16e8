"""Generators that repair: a damaged image and its hole in, an image in (0, 1) out."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Activation, Conv, Dense, flatten
from gan_mtl.nets.resnet_blocks import upsample
from gan_mtl.types import Context


def _shown(
    module: nn.Module, images: Float[Array, "n h w c"], hole: Float[Array, "n h w 1"]
) -> Float[Array, "n h w c+1"]:
    """Both side by side."""
    if images.ndim != 4 or hole.shape != (*images.shape[:3], 1):
        raise ValueError(
            f"{type(module).__name__}: images of shape {images.shape} with a hole of shape "
            f"{hole.shape}; give [n, h, w, c] and [n, h, w, 1]."
        )
    return jnp.concatenate([images, hole.astype(images.dtype)], axis=-1)


def _blended(
    outputs: Float[Array, "n h w 2c"], images: Float[Array, "n h w c"]
) -> Float[Array, "n h w c"]:
    """s(g) x + (1 - s(g)) s(y): every pixel chooses between what is shown and what is new."""
    outputs = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    new, gate = jnp.split(jax.nn.sigmoid(outputs), 2, axis=-1)
    return gate * images + (1 - gate) * new


class DenseRepairer(nn.Module):
    """Dense layers over the whole image, then a blend with the image as it is shown.

    Attributes:
        widths: of the hidden layers.
        activation: after them.
        dtype: compute dtype; the images are float32 or wider.
    """

    widths: tuple[int, ...] = (512, 512)
    activation: Activation = nn.relu
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], hole: Float[Array, "n h w 1"], *, context: Context
    ) -> Float[Array, "n h w c"]:
        """Images, of the shape of those given; in (0, 1) where these are in [0, 1]."""
        x = flatten(_shown(self, images, hole))
        for width in self.widths:
            x = self.activation(Dense(width, dtype=self.dtype)(x, context=context))
        x = Dense(2 * math.prod(images.shape[1:]), dtype=self.dtype, name="out")(x, context=context)
        return _blended(x.reshape(*images.shape[:3], -1), images)


class UNetRepairer(nn.Module):
    """A U-Net of 3x3 convolutions, then a blend with the image as it is shown.

    After Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015: maps of every size go across. Halved by
    strides, doubled by nearest neighbours.

    Attributes:
        widths: channels from the full size down; each after the first halves the size.
        activation: after every hidden layer.
        dtype: compute dtype; the images are float32 or wider.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    activation: Activation = nn.relu
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], hole: Float[Array, "n h w 1"], *, context: Context
    ) -> Float[Array, "n h w c"]:
        """Images, of the shape of those given; in (0, 1) where these are in [0, 1]."""
        x, least = _shown(self, images, hole), 2 ** (len(self.widths) - 1)
        if images.shape[1] % least or images.shape[2] % least:
            raise ValueError(
                f"UNetRepairer: images of {images.shape[1]} x {images.shape[2]} pixels with "
                f"{len(self.widths)} widths; sides must be multiples of {least}."
            )
        maps: list[Array] = []
        for i, width in enumerate(self.widths):
            layer = Conv(width, stride=2 if i else 1, dtype=self.dtype)
            x = self.activation(layer(x, context=context))
            maps.append(x)
        for across, width in zip(maps[-2::-1], self.widths[-2::-1], strict=True):
            x = jnp.concatenate([upsample(x), across], axis=-1)
            x = self.activation(Conv(width, dtype=self.dtype)(x, context=context))
        x = Conv(2 * images.shape[3], dtype=self.dtype, name="out")(x, context=context)
        return _blended(x, images)
