"""StyleGAN2's layers: equalised learning rates, modulated and demodulated convolution.

Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", arXiv 1912.04958.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_mtl.nets import conv
from gan_mtl.nets.layers import add_bias
from gan_mtl.nets.resample import blur, downsample_blurred
from gan_mtl.types import Context

unit_normal = nn.initializers.normal(1.0)


def scaled_leaky_relu(x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """sqrt 2 * max(x, 0.2 x), which about keeps the variance."""
    return jax.nn.leaky_relu(x, 0.2) * math.sqrt(2)


def second_moment_normalised(x: Float[Array, "n d"], eps: float = 1e-8) -> Float[Array, "n d"]:
    """x / sqrt(mean(x²) + eps), the mean over the features of each example."""
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=1, keepdims=True) + eps)


def modulated_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c o"],
    styles: Float[Array, "n c"],
    *,
    demodulate: bool = True,
    up: bool = False,
    eps: float = 1e-8,
) -> Float[Array, "n H W o"]:
    """The convolution of each example with its own kernel.

    w'_ijk = s_i w_ijk (modulation), w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk² + eps) (demodulation);
    i is the channel in, j the channel out, k the place. Computed as (x s) * w over the norm, which
    equals it and needs one kernel for all examples.

    Args:
        x: shape [n, h, w, c].
        kernel: w, shape [k, k, c, o], k odd.
        styles: s, shape [n, c].
        demodulate: whether the kernels of each example are brought to norm 1.
        up: whether `x` is upsampled by 2 first, with zeros between the pixels and the filter
            [1, 3, 3, 1] (computed as a transposed convolution and the filter: the same).
        eps: under the root.

    Returns:
        Shape [n, h, w, o], or [n, 2 h, 2 w, o], dtype of `x`.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    styles, kernel = styles.astype(wide), kernel.astype(wide)
    modulated = x * styles[:, None, None].astype(x.dtype)
    narrow = kernel.astype(x.dtype)
    y = _upsampling_conv(modulated, narrow) if up else conv.conv(modulated, narrow)
    if not demodulate:
        return y
    norm = jax.lax.rsqrt(styles**2 @ jnp.sum(kernel**2, axis=(0, 1)) + eps)
    return y * norm[:, None, None].astype(y.dtype)


def _upsampling_conv(x: Array, kernel: Array) -> Array:
    """Zeros between pixels, the filter times 4, then the convolution; in the cheaper order."""
    k = kernel.shape[0]
    size = (2 * x.shape[1] + k - 2, 2 * x.shape[2] + k - 2)
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    y: Any = conv.input_gradient(x, turned, size, (2, 2), ((0, 0), (0, 0)))
    before = 2 - (k - 1) // 2
    return 4 * blur(y, (before, 5 - k - before))


class EqualizedDense(nn.Module):
    """x (m / sqrt(inputs) w) + m b with w ~ N(0, 1/m²): all weights learn equally fast.

    Karras et al. 2018, arXiv 1710.10196.

    Attributes:
        features: number of units.
        multiplier: m, of the learning rate.
        bias_init: what b is at first.
        activate: whether `scaled_leaky_relu` follows.
        dtype: compute dtype.
    """

    features: int
    multiplier: float = 1.0
    bias_init: float = 0.0
    activate: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n inputs"], *, context: Context) -> Float[Array, "n out"]:
        """Shape [n, features]."""
        del context
        init = nn.initializers.normal(1 / self.multiplier)
        kernel = self.param("kernel", init, (x.shape[-1], self.features), jnp.float32)
        start = nn.initializers.constant(self.bias_init)
        bias = self.param("bias", start, (self.features,), jnp.float32)
        kernel = kernel * (self.multiplier / math.sqrt(x.shape[-1]))
        x, kernel, bias = promote_dtype(x, kernel, self.multiplier * bias, dtype=self.dtype)
        y = add_bias(x @ kernel, bias)
        return scaled_leaky_relu(y) if self.activate else y


class EqualizedConv(nn.Module):
    """Convolution by w / sqrt(fan_in) with w ~ N(0, 1), `SAME`.

    Attributes:
        features: channels out.
        kernel_size: of the square window, 3 or 1.
        down: whether the filter [1, 3, 3, 1] and a halving of the size go with it.
        activate: whether there are a bias and `scaled_leaky_relu`.
        dtype: compute dtype.
    """

    features: int
    kernel_size: int = 3
    down: bool = False
    activate: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n H W o"]:
        """Shape [n, h, w, features], or half the size."""
        del context
        k, c = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", unit_normal, (k, k, c, self.features), jnp.float32)
        kernel = kernel / math.sqrt(k * k * c)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        if not self.down:
            y = conv.conv(x, kernel)
        elif k == 1:
            y = conv.conv(downsample_blurred(x), kernel)
        else:
            y = conv.conv(blur(x, (k // 2 + 1, k // 2 + 1)), kernel, (2, 2), "VALID")
        if not self.activate:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return scaled_leaky_relu(add_bias(y, bias.astype(y.dtype)))


class ModulatedConv(nn.Module):
    """`modulated_conv` with styles that are affine in w, and its own kernel ~ N(0, 1).

    Attributes:
        features: channels out.
        kernel_size: of the square window.
        up: whether the size doubles.
        demodulate: as of `modulated_conv`; without, the kernel is divided by sqrt(fan_in).
        dtype: compute dtype.
    """

    features: int
    kernel_size: int = 3
    up: bool = False
    demodulate: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], w: Float[Array, "n width"], *, context: Context
    ) -> Float[Array, "n H W o"]:
        """Shape [n, h, w, features], or twice the size; without bias and activation."""
        k, c = self.kernel_size, x.shape[-1]
        styles = EqualizedDense(c, bias_init=1.0, name="affine")(w, context=context)
        kernel = self.param("kernel", unit_normal, (k, k, c, self.features), jnp.float32)
        if not self.demodulate:
            kernel = kernel / math.sqrt(k * k * c)
        (x,) = promote_dtype(x, dtype=self.dtype)
        return modulated_conv(x, kernel, styles, demodulate=self.demodulate, up=self.up)
