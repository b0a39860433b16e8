"""Discriminators of label maps: does this map belong to this image?

A map [n, h, w, k] holds a distribution over k classes at every pixel: one-hot where it is the truth
(`games.segmentation_adversary`).
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, Dense, leaky_relu
from gan_mtl.nets.pyramid import MapNorm, normalised
from gan_mtl.types import Context


class MapDiscriminator(nn.Module):
    """4x4 convolutions of stride 2 with leaky ReLUs, for images of any size.

    Image and map come together in one of three ways. "map" looks at the map alone, "product" at
    every class's copy of the image, that is at c k channels, pixel times probability (both: Luc et
    al. 2016, "Basic" and "Product"; the latter also SegAN), "concat" at c + k channels (as the
    conditional discriminator of Isola et al. 2017). There is no norm in the first layer.

    Attributes:
        widths: channels of the layers; layer i has stride 2^(i + 1).
        joined: "map", "product" or "concat".
        outputs: "logits": a mean over places and one unit, shape [n]; "features": what it is shown,
            and every layer's maps, as a tuple (SegAN's critic, for `losses.multi_scale_l1`).
        norm: "group" (groups of 16 channels), "batch" or None.
        spectral: whether kernels have spectral norm 1.
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    joined: Literal["map", "product", "concat"] = "product"
    outputs: Literal["logits", "features"] = "logits"
    norm: MapNorm = None
    spectral: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "n h w c"],
        maps: Float[Array, "n h w k"],
        *,
        context: Context,
    ) -> Float[Array, " n"] | tuple[Float[Array, "n ..."], ...]:
        """Logits of "true" [n], or a tuple of maps [n, h / 2^i, w / 2^i, ...], i = 0, 1, ..."""
        if self.outputs not in ("logits", "features") or not self.widths:
            raise ValueError(
                f"MapDiscriminator: outputs={self.outputs!r}, widths={self.widths}; give 'logits' "
                "or 'features', and at least one layer."
            )
        x = joined(self.joined, images, maps)
        found = [x]
        for i, width in enumerate(self.widths):
            conv = Conv(width, 4, 2, spectral=self.spectral, dtype=self.dtype)
            x = conv(x, context=context)
            x = x if i == 0 else normalised(self.norm, x, context, self.dtype)
            x = leaky_relu(x)
            found.append(x)
        if self.outputs == "features":
            return tuple(found)
        pooled = x.mean(axis=(1, 2))
        x = Dense(1, self.spectral, dtype=self.dtype, name="out")(pooled, context=context)
        return x[:, 0].astype(jnp.promote_types(x.dtype, jnp.float32))


def joined(
    how: str, images: Float[Array, "n h w c"], maps: Float[Array, "n h w k"]
) -> Float[Array, "n h w d"]:
    """What a discriminator of maps is shown; d is k, c k or c + k.

    Raises:
        ValueError: for images and maps of unlike sizes, another `how`.
    """
    if images.ndim != 4 or images.shape[:3] != maps.shape[:3]:
        raise ValueError(
            f"MapDiscriminator: images of shape {images.shape} with maps of shape {maps.shape}; "
            "give a map of the image's height and width, as of nets.DenseHead(k, size)."
        )
    if how == "map":
        return maps
    if how == "product":
        both = images[..., :, None] * maps[..., None, :]
        return both.reshape(*images.shape[:3], -1)
    if how == "concat":
        return jnp.concatenate([images, maps.astype(images.dtype)], axis=-1)
    raise ValueError(f"MapDiscriminator: joined={how!r} is not 'map', 'product' or 'concat'.")
