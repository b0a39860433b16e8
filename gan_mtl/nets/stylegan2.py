"""StyleGAN2's generator (Karras et al. 2020, arXiv 1912.04958), any size and any channels.

z - `StyleMapping` - w - `StyleSynthesis` - images; `StyleGenerator` joins them, with style mixing
and truncation. Its parameters are those of the two parts, `{"mapping": ..., "synthesis": ...}`: for
path lengths, `from_linen(generator.synthesis)` runs the second part from w, with
`{"params": params["synthesis"]}`.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl import draws
from gan_mtl.nets.layers import add_bias
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.modulated_conv import (
    EqualizedDense,
    ModulatedConv,
    scaled_leaky_relu,
    second_moment_normalised,
    unit_normal,
)
from gan_mtl.nets.resample import upsample_blurred
from gan_mtl.nets.resnet_blocks import check_base
from gan_mtl.nets.resnet_gan import check_widths
from gan_mtl.types import Context


def truncate(
    w: Float[Array, "n ... d"], mean: Float[Array, " d"], psi: float
) -> Float[Array, "n ... d"]:
    """mean + psi * (w - mean): the truncation trick in W (Karras et al. 2019, 1812.04948)."""
    mean = mean.reshape((1,) * (w.ndim - 1) + (-1,))
    return mean + psi * (w - mean)


def mix_styles(
    first: Float[Array, "n d"],
    second: Float[Array, "n d"],
    crossover: Int[Array, " n"],
    layers: int,
) -> Float[Array, "n layers d"]:
    """The styles of all layers: `first` below the crossover of each example, `second` from it on.

    Args:
        first, second: shape [n, d].
        crossover: shape [n]; `layers` or more keeps `first` everywhere.
        layers: number of styles.

    Returns:
        Shape [n, layers, d].
    """
    early = jnp.arange(layers)[None] < crossover[:, None]
    return jnp.where(early[..., None], first[:, None], second[:, None])


class StyleMapping(nn.Module):
    """Latents (and a condition) to w: dense layers with leaky ReLU on normalised inputs.

    The condition goes through a linear layer first and is normalised by itself. The mean of w over
    the batch, under pmap over all devices, is tracked in the collection `"w_average"`.

    Attributes:
        width: of w and of the layers.
        layers: number of layers.
        multiplier: of the layers' learning rate.
        decay: of the average of w.
        psi: of the truncation, in evaluation only; 1 is none.
        dtype: compute dtype.
    """

    width: int = 512
    layers: int = 8
    multiplier: float = 0.01
    decay: float = 0.995
    psi: float = 1.0
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
        track: bool = True,
    ) -> Float[Array, "n width"]:
        """w, shape [n, width]; without `track` the average stays as it is."""
        with_condition(latents, condition)
        x = second_moment_normalised(latents)
        if condition is not None:
            embed = EqualizedDense(self.width, dtype=self.dtype, name="embed")
            y = second_moment_normalised(embed(condition, context=context))
            x = jnp.concatenate([x.astype(y.dtype), y], axis=1)
        for i in range(self.layers):
            layer = EqualizedDense(
                self.width, self.multiplier, activate=True, dtype=self.dtype, name=f"layer_{i}"
            )
            x = layer(x, context=context)
        return self._tracked(x, context, track)

    def _tracked(self, w: Array, context: Context, track: bool) -> Array:
        wide = jnp.promote_types(w.dtype, jnp.float32)
        average = self.variable("w_average", "mean", jnp.zeros, (self.width,), wide)
        if not context.train:
            return truncate(w, average.value.astype(w.dtype), self.psi) if self.psi != 1 else w
        if track and not self.is_initializing():
            mean = jax.lax.stop_gradient(w).astype(wide).mean(axis=0)
            if context.axis_name is not None:
                mean = jax.lax.pmean(mean, context.axis_name)
            average.value = self.decay * average.value + (1 - self.decay) * mean
        return w


class StyleLayer(nn.Module):
    """Modulated convolution, noise of every place, bias, leaky ReLU.

    Attributes:
        features: channels out.
        up: whether the size doubles.
        noise: whether noise N(0, 1) times one learned strength (0 at first) is added; drawn for
            each example, in training and in evaluation.
        dtype: compute dtype.
    """

    features: int
    up: bool = False
    noise: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], w: Float[Array, "n width"], *, context: Context
    ) -> Float[Array, "n H W features"]:
        """Shape [n, h, w, features], or twice the size."""
        conv = ModulatedConv(self.features, up=self.up, dtype=self.dtype, name="conv")
        x = conv(x, w, context=context)
        if self.noise:
            own = context._replace(key=self.make_rng("draws"))
            strength = self.param("strength", nn.initializers.zeros, (), jnp.float32)
            grain = draws.normal(x.shape[0], (*x.shape[1:3], 1), own)
            x = x + (strength * grain).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return scaled_leaky_relu(add_bias(x, bias.astype(x.dtype)))


class StyleSynthesis(nn.Module):
    """Styles to images: a constant, pairs of layers per size, and the sum of all sizes' images.

    Attributes:
        widths: channels at the base, then at every doubling of the size.
        channels: of the images, any number.
        base: height and width of the constant.
        noise: as of `StyleLayer`.
        dtype: compute dtype; images are summed in float32 or wider.
    """

    widths: tuple[int, ...]
    channels: int
    base: tuple[int, int] = (4, 4)
    noise: bool = True
    dtype: Any = None

    @property
    def styles(self) -> int:
        """How many styles it takes: one per convolution, and one for the last image."""
        return 2 * len(self.widths)

    @nn.compact
    def __call__(
        self, w: Float[Array, "n width"] | Float[Array, "n styles width"], *, context: Context
    ) -> Float[Array, "n H W channels"]:
        """Images, about in [-1, 1], shape [n, base[0] * 2^k, base[1] * 2^k, channels].

        Args:
            w: one style for all layers, shape [n, width], or one for each.
            context: of the pass.
        """
        check_widths(self, self.widths)
        check_base(self, self.base)
        w = self._for_all_layers(w)
        start = self.param("constant", unit_normal, (*self.base, self.widths[0]), jnp.float32)
        x = jnp.broadcast_to(start[None], (w.shape[0], *start.shape)).astype(self.dtype or w.dtype)
        image = None
        plain: dict[str, Any] = {"noise": self.noise, "dtype": self.dtype}
        for i, width in enumerate(self.widths):
            if i:
                x = StyleLayer(width, up=True, name=f"up_{i}", **plain)(
                    x, w[:, 2 * i - 1], context=context
                )
            x = StyleLayer(width, name=f"layer_{i}", **plain)(x, w[:, 2 * i], context=context)
            part = self._image(i, x, w[:, 2 * i + 1], context)
            image = part if image is None else upsample_blurred(image) + part
        assert image is not None
        return image

    def _image(self, i: int, x: Array, w: Array, context: Context) -> Array:
        """What this size adds to the image, in float32 or wider."""
        conv = ModulatedConv(
            self.channels, 1, demodulate=False, dtype=self.dtype, name=f"image_{i}"
        )
        part = conv(x, w, context=context)
        bias = self.param(f"bias_{i}", nn.initializers.zeros, (self.channels,), jnp.float32)
        return add_bias(part.astype(jnp.promote_types(part.dtype, jnp.float32)), bias)

    def _for_all_layers(self, w: Array) -> Array:
        if w.ndim == 2:
            return jnp.broadcast_to(w[:, None], (w.shape[0], self.styles, w.shape[1]))
        if w.ndim != 3 or w.shape[1] != self.styles:
            raise ValueError(
                f"StyleSynthesis: w of shape {w.shape}; with {len(self.widths)} widths it takes "
                f"[n, width] or [n, {self.styles}, width]."
            )
        return w


class StyleGenerator(nn.Module):
    """Latents (and a condition) to images, with style mixing in training.

    An example is mixed with probability `mixing`: from a layer on, drawn uniformly among all but
    the first, its styles come from other latents, drawn N(0, I). (The authors' code draws one
    crossover for the batch; here each example draws its own.)

    Attributes:
        mapping: latents to w; its `psi` truncates in evaluation.
        synthesis: w to images.
        mixing: probability, in [0, 1]; 0 is without.
    """

    mapping: StyleMapping
    synthesis: StyleSynthesis
    mixing: float = 0.9

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n H W channels"]:
        """Images, about in [-1, 1]."""
        if not 0 <= self.mixing <= 1:
            raise ValueError(f"StyleGenerator: mixing={self.mixing} is outside [0, 1].")
        w = self.mapping(latents, condition, context=context)
        if context.train and self.mixing:
            w = self._mixed(latents, condition, w, context)
        return self.synthesis(w, context=context)

    def _mixed(
        self, latents: Array, condition: Array | None, w: Array, context: Context
    ) -> Float[Array, "n styles width"]:
        own = context._replace(key=self.make_rng("draws"))
        n, layers = latents.shape[0], self.synthesis.styles
        others = draws.normal(n, latents.shape[1:], own.fold("latents")).astype(latents.dtype)
        second = self.mapping(others, condition, context=context, track=False)
        crossover = 1 + draws.integers(n, layers - 1, own.fold("crossover"))
        mixed = draws.uniform(n, (), own.fold("mixed")) < self.mixing
        return mix_styles(w, second, jnp.where(mixed, crossover, layers), layers)


def style_generator(
    size: int,
    channels: int = 3,
    *,
    base: int = 32768,
    most: int = 512,
    layers: int = 8,
    width: int = 512,
    mixing: float = 0.9,
    dtype: Any = None,
) -> StyleGenerator:
    """The generator for square images; maps of r pixels have min(base / r, most) channels.

    Args:
        size: 4 times a power of two.
        channels: of the images.
        base, most: of the channels: 32768 and 512 for CIFAR-10 at 32 pixels, 16384 and 512 for
            256 pixels (the authors' `cifar` and `paper256`).
        layers: of the mapping: 8; 2 for CIFAR-10.
        width: of w.
        mixing: probability of style mixing; 0 for CIFAR-10.
        dtype: compute dtype of the synthesis; the mapping stays in float32.

    Raises:
        ValueError: another `size`.
    """
    widths = style_widths(size, base, most)
    return StyleGenerator(
        StyleMapping(width, layers), StyleSynthesis(widths, channels, dtype=dtype), mixing
    )


def style_widths(size: int, base: int, most: int) -> tuple[int, ...]:
    """Channels of the maps of 4, 8, ..., `size` pixels: min(base / pixels, most).

    Raises:
        ValueError: `size` is not 4 times a power of two.
    """
    steps = (size // 4).bit_length()
    if size < 4 or 4 << steps - 1 != size:
        raise ValueError(
            f"size={size} is not 4 times a power of two; other sizes are "
            "StyleSynthesis(widths, channels, base)."
        )
    return tuple(min(base // (4 << i), most) for i in range(steps))
