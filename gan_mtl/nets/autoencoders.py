"""Discriminators that reconstruct: EBGAN's and BEGAN's autoencoders.

EBGAN (Zhao, Mathieu & LeCun 2017, arXiv 1609.03126) and BEGAN (Berthelot, Schumm & Metz 2017, arXiv
1703.10717) judge an image by how badly an autoencoder reconstructs it. `Autoencoder` joins any
encoder and decoder: `Autoencoder(MLPTrunk((256, 64)), MLPGenerator((256,), (28, 28, 1)))` is a
dense one, `began_autoencoder` the convolutional one of BEGAN.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, Dense, flatten
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.nets.resnet_blocks import check_base, upsample
from gan_mtl.nets.resnet_gan import check_images
from gan_mtl.types import Context


class Autoencoder(nn.Module):
    """decoder(encoder(x)): images to their reconstructions.

    Attributes:
        encoder: images to codes [n, d], a trunk.
        decoder: codes to images, a generator.
        return_code: whether the codes come too (EBGAN's pulling-away term is of them).
    """

    encoder: nn.Module
    decoder: nn.Module
    return_code: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n h w c"] | tuple[Float[Array, "n h w c"], Float[Array, "n d"]]:
        """The reconstruction, of the images' shape; with `return_code` `(reconstruction, code)`."""
        code = self.encoder(images, context=context)  # type: ignore[operator]
        reconstruction = self.decoder(code, context=context)  # type: ignore[operator]
        if reconstruction.shape != images.shape:
            raise ValueError(
                f"Autoencoder: the decoder makes {reconstruction.shape[1:]} of images "
                f"{images.shape[1:]}: give it the images' size and channels."
            )
        return (reconstruction, code) if self.return_code else reconstruction


class Energy(nn.Module):
    """Images to the error of their reconstruction, one number each: a whole discriminator.

    As the trunk of a `gan` without `disc`, under `losses.energy_based` or
    `gan_rows.energy_control`.

    Attributes:
        autoencoder: images to images.
        norm: "l2", the mean square over pixels (EBGAN), or "l1", the mean absolute one (BEGAN).
    """

    autoencoder: nn.Module
    norm: Literal["l1", "l2"] = "l2"

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, " n"]:
        """Energies, shape [n]."""
        error = self.autoencoder(images, context=context) - images  # type: ignore[operator]
        error = error.astype(jnp.promote_types(error.dtype, jnp.float32))
        error = jnp.square(error) if self.norm == "l2" else jnp.abs(error)
        return error.mean(axis=tuple(range(1, error.ndim)))


class BEGANEncoder(nn.Module):
    """Images to codes: pairs of 3x3 convolutions with ELU, subsampled by strides, one dense layer.

    Channels rise linearly: width, 2 width, 3 width, ... with every halving.

    Attributes:
        code: width of the codes.
        width: channels of the first layers.
        halved: how often the size halves.
        dtype: compute dtype.
    """

    code: int = 64
    width: int = 64
    halved: int = 2
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Codes, shape [n, code]; any real values."""
        check_images(self, images, self.halved)

        def layer(x: Array, width: int, stride: int = 1) -> Array:
            return nn.elu(Conv(width, stride=stride, dtype=self.dtype)(x, context=context))

        x = layer(images, self.width)
        for i in range(self.halved + 1):
            width = self.width * (i + 1)
            x = layer(layer(x, width), width)
            x = layer(x, width, 2) if i < self.halved else x
        return Dense(self.code, dtype=self.dtype, name="code")(flatten(x), context=context)


class BEGANDecoder(nn.Module):
    """Codes (or latents) to images: pairs of 3x3 convolutions with ELU, nearest neighbours.

    BEGAN's generator is the same network with its own parameters and latents U(-1, 1). The
    skip connections that the paper tries are left out.

    Attributes:
        channels: of the images, any number.
        width: channels of all layers.
        doubled: how often the size doubles.
        base: height and width of the smallest maps.
        output: "none" as published; "tanh" for images in (-1, 1), "sigmoid" for (0, 1).
        dtype: compute dtype; the images are float32 or wider.
    """

    channels: int
    width: int = 64
    doubled: int = 2
    base: tuple[int, int] = (8, 8)
    output: Output = "none"
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n H W channels"]:
        """Images, shape [n, base[0] * 2^doubled, base[1] * 2^doubled, channels]."""
        places = check_base(self, self.base)
        x = with_condition(latents, condition)
        x = Dense(places * self.width, dtype=self.dtype)(x, context=context)
        x = x.reshape(x.shape[0], *self.base, self.width)
        for i in range(self.doubled + 1):
            x = upsample(x) if i else x
            for _ in range(2):
                x = nn.elu(Conv(self.width, dtype=self.dtype)(x, context=context))
        x = Conv(self.channels, dtype=self.dtype, name="out")(x, context=context)
        return squash(x, self.output)


def began_autoencoder(
    size: int, channels: int = 3, *, code: int = 64, width: int = 64, dtype: Any = None
) -> Autoencoder:
    """BEGAN's discriminator for square images.

    Args:
        size: 8 times a power of two.
        channels: of the images.
        code: width of the codes.
        width: n, channels of the decoder and of the encoder's first layers.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`.
    """
    halved = (size // 8).bit_length() - 1
    if size < 8 or 8 << halved != size:
        raise ValueError(
            f"began_autoencoder: size={size} is not 8 times a power of two; other sizes are "
            "Autoencoder(BEGANEncoder(...), BEGANDecoder(channels, base=...))."
        )
    return Autoencoder(
        BEGANEncoder(code, width, halved, dtype),
        BEGANDecoder(channels, width, halved, dtype=dtype),
    )
