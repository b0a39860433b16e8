"""Convolutional trunks for images [n, h, w, c] of any size and any number of channels."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.conv import max_pool
from gan_mtl.nets.layers import Activation, Conv, Dense, Initializer, flatten, leaky_relu, lecun
from gan_mtl.nets.minibatch import minibatch_stddev
from gan_mtl.nets.noise import GaussianNoise
from gan_mtl.types import Context

Norm = Literal["batch", "spectral"] | None


class ConvTrunk(nn.Module):
    """Strided convolutions, each halving the image: the usual discriminator's trunk.

    Attributes:
        widths: channels of the layers.
        kernel_size: of all layers.
        activation: after every layer.
        norm: None; "batch" for batch normalisation in all layers but the first (DCGAN);
            "spectral" for spectral normalisation of all kernels.
        group_size: if not 0, `minibatch_stddev` with such groups before the last layer.
        kernel_init, scale_init: initialisers of kernels and of batch normalisation's scales.
        output: "flat" [n, h' * w' * c], or "map" [n, h', w', c], without `features`.
        features: if not None, a last dense layer of this width.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    kernel_size: int = 4
    activation: Activation = leaky_relu
    norm: Norm = None
    group_size: int = 0
    kernel_init: Initializer = lecun
    scale_init: Initializer = nn.initializers.ones
    output: Literal["flat", "map"] = "flat"
    features: int | None = None
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n ..."]:
        """Shape [n, features], or of maps [n, ceil(h / 2^k), ceil(w / 2^k), widths[-1]], flat."""
        check_norm(self, ("batch", "spectral"))
        if self.output not in ("flat", "map") or (self.output == "map" and self.features):
            raise ValueError(
                f"ConvTrunk: output={self.output!r} with features={self.features}; give 'flat', or "
                "'map' without features."
            )
        x = images
        for i, width in enumerate(self.widths):
            batch = self.norm == "batch" and i > 0
            if self.group_size and i == len(self.widths) - 1:
                x = minibatch_stddev(x, self.group_size)
            x = Conv(
                width,
                self.kernel_size,
                stride=2,
                spectral=self.norm == "spectral",
                use_bias=not batch,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
            )(x, context=context)
            if batch:
                x = BatchNorm(scale_init=self.scale_init, dtype=self.dtype)(x, context=context)
            x = self.activation(x)
        if self.output == "map":
            return x
        if self.features is None:
            return flatten(x)
        return self.activation(
            Dense(self.features, spectral=self.norm == "spectral", dtype=self.dtype)(
                flatten(x), context=context
            )
        )


class CNNTrunk(nn.Module):
    """3x3 convolutions, each followed by 2x2 max-pooling: a classifier's or a shared trunk.

    An image loses half its size (rounded down) per pooling, so k of them take at least 2^k pixels.

    Attributes:
        widths: channels of the layers.
        pooled: the layers, counted from 0, that are followed by pooling; None is all.
        input_noise: standard deviation of Gaussian noise on the images, in training only.
        kernel_size: of all convolutions.
        activation: after every convolution.
        norm: None, "batch" (before the activation) or "spectral".
        output: "flat" [n, h' * w' * c], "mean" over places [n, c], "map" [n, h', w', c].
        features: if not None, a last dense layer of this width (for "flat" and "mean").
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (32, 64)
    pooled: tuple[int, ...] | None = None
    input_noise: float = 0.0
    kernel_size: int = 3
    activation: Activation = nn.relu
    norm: Norm = None
    output: Literal["flat", "mean", "map"] = "flat"
    features: int | None = None
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n ..."]:
        """Features, in the shape that `output` says."""
        self._check(images)
        spectral, batch = self.norm == "spectral", self.norm == "batch"
        x = GaussianNoise(self.input_noise)(images, context=context)
        for i, width in enumerate(self.widths):
            x = Conv(
                width, self.kernel_size, spectral=spectral, use_bias=not batch, dtype=self.dtype
            )(x, context=context)
            x = BatchNorm(dtype=self.dtype)(x, context=context) if batch else x
            x = self.activation(x)
            x = max_pool(x) if self.pooled is None or i in self.pooled else x
        if self.output == "map":
            return x
        x = flatten(x) if self.output == "flat" else x.mean(axis=(1, 2))
        if self.features is None:
            return x
        return self.activation(
            Dense(self.features, spectral=spectral, dtype=self.dtype)(x, context=context)
        )

    def _check(self, images: Array) -> None:
        check_norm(self, ("batch", "spectral"))
        if self.output not in ("flat", "mean", "map"):
            raise ValueError(f"CNNTrunk: output={self.output!r} is not 'flat', 'mean' or 'map'.")
        poolings = len(self.widths) if self.pooled is None else len(self.pooled)
        least = 2**poolings
        if images.ndim != 4 or min(images.shape[1:3]) < least:
            raise ValueError(
                f"CNNTrunk: images of shape {images.shape} with {poolings} poolings; it takes "
                f"[n, h, w, c] of at least {least} pixels a side (or fewer widths)."
            )


def check_norm(module: Any, known: tuple[str, ...]) -> None:
    """Raises ValueError where `module.norm` is neither None nor one of `known`."""
    if module.norm is not None and module.norm not in known:
        raise ValueError(
            f"{type(module).__name__}: norm={module.norm!r} is not None or one of "
            f"{', '.join(map(repr, known))}."
        )
