"""DCGAN (Radford, Metz & Chintala 2016, arXiv 1511.06434) for 8 to 128 pixels."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.convnets import ConvTrunk, Norm, check_norm
from gan_mtl.nets.layers import Conv, ConvTranspose, Dense, Initializer, dcgan_normal
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.types import Context

# Image size to that of the smallest feature map; the layers between double or halve.
SMALLEST = {8: 2, 16: 4, 28: 7, 32: 4, 64: 4, 128: 4}


def scale_normal(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> Array:
    """N(1, 0.02²): DCGAN's initialiser of batch normalisation's scales."""
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


class DCGANGenerator(nn.Module):
    """Latents (and a condition) to images: a dense layer, then 4x4 transposed convolutions.

    For 32 pixels and width 64: z - 4x4x256 - 8x8x128 - 16x16x64 - 32x32xchannels; one layer more or
    less for 64, 28 (from 7x7) and so on. ReLU inside, as in the paper.

    Attributes:
        size: of the square images: 8, 16, 28, 32, 64 or 128.
        channels: of the images, any number; None leaves the last layer to heads (`DCGANHead`): the
            output is then [n, size / 2, size / 2, width].
        width: channels of the last hidden layer; each layer before has twice as many.
        output: "tanh" for images in (-1, 1), "sigmoid" for (0, 1), "none".
        norm: "batch" for batch normalisation in all layers but the last, or None.
        kernel_init: initialiser of kernels: N(0, 0.02²), the paper's. Without normalisation signals
            shrink under it; `nets.lecun` keeps them.
        dtype: compute dtype; the images are float32 or wider.
    """

    size: int
    channels: int | None
    width: int = 64
    output: Output = "tanh"
    norm: Literal["batch"] | None = "batch"
    kernel_init: Initializer = dcgan_normal
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n size size channels"]:
        """Images, shape [n, size, size, channels]; or hidden maps, without `channels`."""
        check_norm(self, ("batch",))
        stages, start = check_size(self, self.size), SMALLEST[self.size]
        plain: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        inner = {**plain, "use_bias": self.norm is None}
        width = self.width * 2 ** (stages - 1)
        x = with_condition(latents, condition)
        x = Dense(start * start * width, **inner)(x, context=context)
        x = self._activate(x.reshape(x.shape[0], start, start, width), context)
        for stage in range(1, stages):
            x = ConvTranspose(width >> stage, **inner)(x, context=context)
            x = self._activate(x, context)
        if self.channels is None:
            return x
        x = ConvTranspose(self.channels, name="out", **plain)(x, context=context)
        return squash(x, self.output)

    def _activate(self, x: Array, context: Context) -> Array:
        if self.norm == "batch":
            x = BatchNorm(scale_init=scale_normal, dtype=self.dtype)(x, context=context)
        return nn.relu(x)


class DCGANHead(nn.Module):
    """Hidden maps to images of twice their size: one task's end of a generator that tasks share.

    A 4x4 transposed convolution, batch normalisation, ReLU, and a 3x3 convolution.

    Attributes:
        channels: of the images.
        width: channels between.
        output, kernel_init, dtype: as of `DCGANGenerator`.
    """

    channels: int
    width: int = 32
    output: Output = "tanh"
    kernel_init: Initializer = dcgan_normal
    dtype: Any = None

    @nn.compact
    def __call__(
        self, hidden: Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n h2 w2 channels"]:
        """Images, shape [n, 2 h, 2 w, channels]."""
        plain: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        x = ConvTranspose(self.width, use_bias=False, **plain)(hidden, context=context)
        x = BatchNorm(scale_init=scale_normal, dtype=self.dtype)(x, context=context)
        x = Conv(self.channels, 3, name="out", **plain)(nn.relu(x), context=context)
        return squash(x, self.output)


class DCGANTrunk(nn.Module):
    """Images to features by 4x4 convolutions of stride 2, leaky ReLU; heads attach to them.

    For 32 pixels and width 64: 16x16x64 - 8x8x128 - 4x4x256, flattened to 4096 features.

    Attributes:
        size: of the square images: 8, 16, 28, 32, 64 or 128.
        width: channels of the first layer; each layer after has twice as many.
        norm: None; "batch" for batch normalisation in all layers but the first, as in the paper;
            "spectral" for spectral normalisation of all kernels.
        minibatch_std: whether the last layer also sees `minibatch_stddev` of its inputs.
        group_size: of that, in consecutive examples.
        kernel_init: initialiser of kernels, as for `DCGANGenerator`.
        dtype: compute dtype.
    """

    size: int
    width: int = 64
    norm: Norm = None
    minibatch_std: bool = False
    group_size: int = 4
    kernel_init: Initializer = dcgan_normal
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n size size c"], *, context: Context
    ) -> Float[Array, "n d"]:
        """Features, shape [n, SMALLEST[size]² * width * 2^(layers - 1)]."""
        stages = check_size(self, self.size)
        if images.ndim != 4 or images.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"DCGANTrunk: images of shape {images.shape} for size={self.size}; it takes "
                f"[n, {self.size}, {self.size}, channels]: set size, or resize the images."
            )
        return ConvTrunk(
            tuple(self.width * 2**stage for stage in range(stages)),
            norm=self.norm,
            group_size=self.group_size if self.minibatch_std else 0,
            kernel_init=self.kernel_init,
            scale_init=scale_normal,
            dtype=self.dtype,
            name="trunk",
        )(images, context=context)


def check_size(module: Any, size: int) -> int:
    """The number of strided layers for images of `size` pixels.

    Raises:
        ValueError: a size that is not among `SMALLEST`.
    """
    if size not in SMALLEST:
        raise ValueError(
            f"{type(module).__name__}: size={size} is not one of {', '.join(map(str, SMALLEST))}; "
            "resize or pad the images, or use ConvTrunk, which takes any size."
        )
    return (size // SMALLEST[size]).bit_length() - 1
