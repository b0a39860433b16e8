"""Heads on maps: what is in an image, and what stands at every pixel.

They take a pyramid (`ConvPyramid`, `ResNetPyramid`) or a single map [n, h, w, c]. The head that
finds boxes is in `centres`.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, Dense
from gan_mtl.nets.pyramid import MapNorm, Maps, PyramidDecoder, maps_of
from gan_mtl.types import Context


class MapClassifier(nn.Module):
    """Means or maxima over places of the coarsest map, a hidden layer, one output per class.

    Single-label under `cross_entropy`, multi-label under `binary_cross_entropy`. Of several small
    objects a mean over all places sees little; maxima find them (of scores in Oquab, Bottou, Laptev
    & Sivic, "Is object localization for free?", CVPR 2015; here of features).

    Attributes:
        out: number of outputs.
        width: of the hidden layer (tutorial T1 has 128); 0 is none.
        pool: "mean" or "max".
        dtype: compute dtype.
    """

    out: int
    width: int = 128
    pool: Literal["mean", "max"] = "mean"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, maps: Maps | Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n out"]:
        """Logits, shape [n, out]."""
        if self.pool not in ("mean", "max"):
            raise ValueError(f"MapClassifier: pool={self.pool!r} is not 'mean' or 'max'.")
        x = maps_of("MapClassifier", maps)[-1]
        x = x.mean(axis=(1, 2)) if self.pool == "mean" else highest(x)
        if self.width:
            x = nn.relu(Dense(self.width, dtype=self.dtype)(x, context=context))
        x = Dense(self.out, dtype=self.dtype, name="out")(x, context=context)
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def highest(x: Float[Array, "n h w c"]) -> Float[Array, "n c"]:
    """Maxima over places; the first of equal ones gets the gradient.

    The gradient of `jnp.max` divides by the number of places that equal the maximum. Where a
    compiler works `x` out anew, rounded otherwise, this is 0 and the gradient NaN: seen on CPU.
    """
    x = x.reshape(x.shape[0], -1, x.shape[-1])
    first = jax.lax.stop_gradient(x).argmax(axis=1, keepdims=True)
    return jnp.take_along_axis(x, first, axis=1)[:, 0]


class DenseHead(nn.Module):
    """A pyramid decoder and one output per pixel and channel.

    Classes of pixels (segmentation), depths, or the image itself (reconstruction), by the loss.

    Attributes:
        out: number of channels.
        size: height and width of the images; or, for images of any size, how many times the finest
            map's they are.
        width: channels of the decoder.
        norm: of the decoder.
        dtype: compute dtype.
    """

    out: int
    size: tuple[int, int] | int
    width: int = 64
    norm: MapNorm = "group"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, maps: Maps | Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n H W out"]:
        """Outputs, shape [n, *size, out], enlarged from the finest map bilinearly."""
        x = PyramidDecoder(self.width, self.norm, dtype=self.dtype)(maps, context=context)
        x = Conv(self.out, 1, dtype=self.dtype, name="out")(x, context=context)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        n, h, w, _ = x.shape
        times = self.size
        size = (h * times, w * times) if isinstance(times, int) else times
        return jax.image.resize(x, (n, *size, self.out), "bilinear")
