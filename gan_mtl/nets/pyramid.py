"""Trunks that keep their maps: images to features at several strides, for tasks that ask where.

A pyramid is a tuple of maps [n, h_i, w_i, c_i] from fine to coarse, of images of any size.
`PyramidDecoder` brings one back to a single fine map.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.conv import max_pool
from gan_mtl.nets.layers import Conv, Initializer
from gan_mtl.types import Context

Maps = tuple[Float[Array, "n h w c"], ...]
MapNorm = Literal["batch", "group"] | None
Down = Literal["pool", "stride"]

he = nn.initializers.he_normal()  # He et al. 2015, for layers before a ReLU


class ConvPyramid(nn.Module):
    """Plain stages: 3x3 convolution, norm, ReLU, `depth` times, and half the size.

    `ConvPyramid((32, 64, 128))` at 224x224 is the trunk of tutorial T1, with maps of strides 2, 4
    and 8.

    Attributes:
        widths: channels of each stage; the map of stage i has stride 2^(i + 1).
        depth: convolutions of a stage.
        norm: "batch", "group" (groups of 16 channels; one of all where 16 does not divide) or None.
        down: what halves the size, "pool" (2x2 maxima at the end of the stage) or "stride" (of its
            first convolution, which costs a quarter).
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    depth: int = 1
    norm: MapNorm = None
    down: Down = "pool"
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Maps:
        """Maps [n, h / 2^i, w / 2^i, widths[i - 1]], i = 1, 2, ...

        Sizes are rounded down by pooling and up by strides.
        """
        least = 2 ** len(self.widths)
        if images.ndim != 4 or min(images.shape[1:3]) < least:
            raise ValueError(
                f"ConvPyramid: images of shape {images.shape} with {len(self.widths)} stages; it "
                f"takes [n, h, w, c] of at least {least}x{least} pixels."
            )
        x, found = images, []
        for width in self.widths:
            stage = ConvStage(width, self.depth, self.norm, self.down, self.dtype)
            x = stage(x, context=context)
            found.append(x)
        return tuple(found)


class ConvStage(nn.Module):
    """A stage of `ConvPyramid`, for architectures that are made of stages.

    Attributes:
        width: channels.
        depth, norm, dtype: as of `ConvPyramid`.
        down: as of `ConvPyramid`; None keeps the size.
    """

    width: int
    depth: int = 1
    norm: MapNorm = None
    down: Down | None = "pool"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n H W width"]:
        """A map of half the size, or of the same."""
        if self.down not in ("pool", "stride", None):
            raise ValueError(f"ConvStage: down={self.down!r} is not 'pool', 'stride' or None.")
        pool = self.down == "pool"
        for i in range(self.depth):
            stride = 2 if self.down == "stride" and i == 0 else 1
            pooled = pool and self.norm is None and i == self.depth - 1
            conv = Conv(self.width, 3, stride, pooled=pooled, kernel_init=he, dtype=self.dtype)
            x = nn.relu(normalised(self.norm, conv(x, context=context), context, self.dtype))
        return max_pool(x) if pool and self.norm is not None else x


class ResNetPyramid(nn.Module):
    """ResNet with basic blocks: He, Zhang, Ren & Sun, CVPR 2016, arXiv 1512.03385, table 1.

    The default has the parameters of ResNet-18 without its last layer. Paddings are "SAME", so
    weights of implementations that pad both sides alike do not fit to the pixel.

    Attributes:
        widths: channels of the stages; every stage but the first halves the size.
        depths: blocks of the stages.
        stem: "large": 7x7 convolution of stride 2 and 3x3 max-pooling of stride 2, for images of
            200 pixels; "small": one 3x3 convolution, for images of 32 to 64.
        norm: "batch", "group" (groups of 16 channels; one of all where 16 does not divide) or None.
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    stem: Literal["large", "small"] = "large"
    norm: MapNorm = "batch"
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Maps:
        """Maps [n, h / s, w / s, widths[i]], s = 2^i, times 4 after a large stem; rounded up."""
        if len(self.depths) != len(self.widths) or self.stem not in ("large", "small"):
            raise ValueError(
                f"ResNetPyramid: widths={self.widths}, depths={self.depths}, stem={self.stem!r}; "
                "give one depth for every width, and the stem 'large' or 'small'."
            )
        large = self.stem == "large"
        x = Conv(
            self.widths[0],
            7 if large else 3,
            2 if large else 1,
            use_bias=False,
            kernel_init=he,
            dtype=self.dtype,
            name="stem",
        )(images, context=context)
        x = nn.relu(normalised(self.norm, x, context, self.dtype))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME") if large else x
        found = []
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                x = BasicBlock(width, stride, self.norm, self.dtype)(x, context=context)
            found.append(x)
        return tuple(found)


class BasicBlock(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))): He et al. 2016, figure 2.

    Where size or channels change, the shortcut is a normalised 1x1 convolution.

    Attributes:
        features: channels out.
        stride: of the first convolution.
        norm, dtype: as of `ResNetPyramid`.
    """

    features: int
    stride: int = 1
    norm: MapNorm = "batch"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n H W o"]:
        """Shape [n, h / stride, w / stride, features], sizes rounded up."""

        def layer(x: Array, size: int, stride: int, name: str) -> Array:
            conv = Conv(
                self.features,
                size,
                stride,
                use_bias=False,
                kernel_init=he,
                dtype=self.dtype,
                name=name,
            )
            return normalised(self.norm, conv(x, context=context), context, self.dtype)

        h = nn.relu(layer(x, 3, self.stride, "conv1"))
        h = layer(h, 3, 1, "conv2")
        if x.shape != h.shape:
            x = layer(x, 1, self.stride, "shortcut")
        return nn.relu(x + h)


class PyramidDecoder(nn.Module):
    """Top-down pathway to the finest map: Lin et al., "Feature Pyramid Networks", CVPR 2017.

    Every map goes through a 1x1 convolution to `width`; from the coarsest on, the sum so far is
    enlarged (nearest neighbour) and added to the next finer one; then a 3x3 convolution, norm and
    ReLU. Of a single map only the convolutions are left.

    Attributes:
        width: channels.
        norm: of the last convolution, as of `ResNetPyramid`.
        kernel_init: of the 1x1 kernels.
        dtype: compute dtype.
    """

    width: int = 64
    norm: MapNorm = "group"
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    dtype: Any = None

    @nn.compact
    def __call__(
        self, maps: Maps | Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n h w width"]:
        """A map of the finest one's size, shape [n, h, w, width]."""
        x = None
        for lateral in reversed(maps_of("PyramidDecoder", maps)):
            conv = Conv(self.width, 1, kernel_init=self.kernel_init, dtype=self.dtype)
            y = conv(lateral, context=context)
            x = y if x is None else y + enlarge(x, (y.shape[1], y.shape[2]))
        assert x is not None
        x = Conv(self.width, kernel_init=he, dtype=self.dtype)(x, context=context)
        return nn.relu(normalised(self.norm, x, context, self.dtype))


def maps_of(who: str, features: Any) -> Maps:
    """A pyramid; a single map is one of one.

    Raises:
        ValueError: for features without places.
    """
    maps = tuple(features) if isinstance(features, tuple | list) else (features,)
    flat = [x.shape for x in maps if x.ndim != 4]
    if flat or not maps:
        raise ValueError(
            f"{who}: features of shape {flat[0] if flat else ()}; it takes maps [n, h, w, c], as "
            "of a ConvPyramid or a ResNetPyramid, which say where something is."
        )
    return maps


def enlarge(x: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n H W c"]:
    """Nearest neighbour to a size that is not smaller."""
    for axis, side in zip((1, 2), size, strict=True):
        times = -(-side // x.shape[axis])
        x = jax.lax.slice_in_dim(jnp.repeat(x, times, axis), 0, side, axis=axis)
    return x


def normalised(norm: MapNorm, x: Array, context: Context, dtype: Any) -> Array:
    """`x` after the norm of this name.

    Raises:
        ValueError: another name.
    """
    if norm == "batch":
        return BatchNorm(dtype=dtype)(x, context=context)
    if norm == "group":
        c = x.shape[-1]
        groups = c // 16 if c % 16 == 0 else 1
        return nn.GroupNorm(groups, epsilon=1e-5, dtype=dtype)(x)
    if norm is not None:
        raise ValueError(f"norm={norm!r} is not 'batch', 'group' or None.")
    return x
