"""Residual blocks of generators and discriminators, and how they change an image's size."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.conditional_norm import GeneratorNorm, generator_norm
from gan_mtl.nets.layers import Activation, Conv, Initializer, glorot
from gan_mtl.types import Context

# Glorot's uniform initialiser with the gain sqrt 2, for 3x3 kernels.
glorot_wide = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")


def upsample(x: Float[Array, "n h w c"]) -> Float[Array, "n 2h 2w c"]:
    """Nearest neighbour: every pixel becomes 2x2 equal ones."""
    n, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (n, h, 2, w, 2, c))
    return x.reshape(n, 2 * h, 2 * w, c)


def mean_pool(x: Float[Array, "n 2h 2w c"]) -> Float[Array, "n h w c"]:
    """The mean of every 2x2 pixels.

    Raises:
        ValueError: an odd height or width.
    """
    n, h, w, c = x.shape
    if h % 2 or w % 2:
        raise ValueError(
            f"mean_pool: maps of {h}x{w} pixels cannot be halved; resize or pad the images, or "
            "halve them fewer times."
        )
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


class GeneratorBlock(nn.Module):
    """x + conv(relu(norm(conv(up(relu(norm(x))))))): Miyato et al. 2018, 1802.05957.

    The shortcut is a 1x1 convolution of the upsampled input; where neither size nor channels
    change, it is the input.

    Attributes:
        features: channels out.
        up: whether the size doubles.
        norm: of both layers, by `generator_norm`.
        spectral: whether all kernels (those of a conditional norm too) are spectrally normalised.
        kernel_init, shortcut_init: initialisers of 3x3 and 1x1 kernels.
        norm_keywords: further attributes of a conditional norm, as pairs.
        dtype: compute dtype.
        activation: ReLU.
    """

    features: int
    up: bool = True
    norm: GeneratorNorm = "batch"
    spectral: bool = False
    kernel_init: Initializer = glorot_wide
    shortcut_init: Initializer = glorot
    norm_keywords: tuple[tuple[str, Any], ...] = ()
    dtype: Any = None
    activation: Activation = nn.relu

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "n h w c"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n H W features"]:
        """Shape [n, 2 h, 2 w, features], or [n, h, w, features] without `up`."""
        conv: dict[str, Any] = {"spectral": self.spectral, "dtype": self.dtype}
        keywords = {"spectral": self.spectral, **dict(self.norm_keywords), "dtype": self.dtype}

        def normalised(x: Array) -> Array:
            return self.activation(generator_norm(self.norm, x, condition, context, **keywords))

        resize = upsample if self.up else lambda x: x
        h = resize(normalised(x))
        h = Conv(self.features, kernel_init=self.kernel_init, **conv)(h, context=context)
        h = normalised(h)
        h = Conv(self.features, kernel_init=self.kernel_init, **conv)(h, context=context)
        if not self.up and x.shape[-1] == self.features:
            return h + x
        shortcut = Conv(self.features, 1, kernel_init=self.shortcut_init, name="shortcut", **conv)
        return h + shortcut(resize(x), context=context)


class TrunkBlock(nn.Module):
    """x + pool(conv(relu(conv(relu(x))))): Miyato et al. 2018; without norms.

    The shortcut is a 1x1 convolution, then the pooling; where neither size nor channels change, it
    is the input. The first block of a trunk sees images: it has no ReLU before its first
    convolution, and its shortcut pools first, which costs a quarter.

    Attributes:
        features: channels out.
        down: whether the size halves, by the mean of 2x2 pixels.
        first: whether it is the first block.
        wide: whether the first convolution has `features` channels already (SAGAN, BigGAN) or
            still the input's (SNGAN); a first block is always wide.
        activation: ReLU.
        spectral: whether all kernels are spectrally normalised.
        kernel_init, shortcut_init: initialisers of 3x3 and 1x1 kernels.
        dtype: compute dtype.
    """

    features: int
    down: bool = True
    first: bool = False
    wide: bool = False
    activation: Activation = nn.relu
    spectral: bool = False
    kernel_init: Initializer = glorot_wide
    shortcut_init: Initializer = glorot
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n H W features"]:
        """Shape [n, h / 2, w / 2, features], or [n, h, w, features] without `down`."""
        conv: dict[str, Any] = {"spectral": self.spectral, "dtype": self.dtype}
        inner = {**conv, "kernel_init": self.kernel_init}
        hidden = self.features if self.wide or self.first else x.shape[-1]
        pool = mean_pool if self.down else lambda x: x
        h = x if self.first else self.activation(x)
        h = Conv(hidden, **inner)(h, context=context)
        h = pool(Conv(self.features, **inner)(self.activation(h), context=context))
        if not self.down and x.shape[-1] == self.features:
            return h + x
        shortcut = Conv(self.features, 1, kernel_init=self.shortcut_init, name="shortcut", **conv)
        if self.first:
            return h + shortcut(pool(x), context=context)
        return h + pool(shortcut(x, context=context))


def check_base(module: nn.Module, base: tuple[int, int]) -> int:
    """The number of places of the smallest map.

    Raises:
        ValueError: a base that is not two positive numbers.
    """
    if len(base) != 2 or min(base) < 1:
        raise ValueError(
            f"{type(module).__name__}: base={base} is not (height, width), both at least 1."
        )
    return math.prod(base)
