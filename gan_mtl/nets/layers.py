"""Layers with a kernel, and small things: every module takes `context` and a compute `dtype`.

Parameters are float32; `dtype` (say bfloat16) is what inputs and parameters are cast to for the
computation, None promotes them. Kernels are drawn from Flax's LeCun normal unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_mtl.nets import conv
from gan_mtl.nets.pooled_conv import pooled_conv
from gan_mtl.nets.spectral import spectral_kernel
from gan_mtl.types import Context

Activation = Callable[[Array], Array]
Initializer = nn.initializers.Initializer

lecun = nn.initializers.lecun_normal()
glorot = nn.initializers.glorot_uniform()
dcgan_normal = nn.initializers.normal(0.02)  # Radford et al. 2016, section 3


def leaky_relu(x: Float[Array, " *shape"], slope: float = 0.2) -> Float[Array, " *shape"]:
    """max(x, slope * x), with the slope 0.2 that discriminators are used to."""
    return jax.nn.leaky_relu(x, slope)


def flatten(x: Float[Array, "n ..."]) -> Float[Array, "n d"]:
    """All axes but the first in one."""
    return x.reshape(x.shape[0], -1)


def add_bias(x: Float[Array, "*n o"], bias: Float[Array, " o"] | None) -> Float[Array, "*n o"]:
    """`x` plus one value per feature; `x` itself for None."""
    return x if bias is None else x + bias.reshape((1,) * (x.ndim - 1) + (-1,))


class Dense(nn.Module):
    """`x w + b`.

    Attributes:
        features: number of units.
        spectral: whether w is divided by its spectral norm (see `spectral_kernel`).
        use_bias: whether there is b, zero at first.
        kernel_init: initialiser of w.
        dtype: compute dtype.
    """

    features: int
    spectral: bool = False
    use_bias: bool = True
    kernel_init: Initializer = lecun
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n inputs"], *, context: Context) -> Float[Array, "n out"]:
        """Shape [n, features]."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        kernel = spectral_kernel(self, kernel, context) if self.spectral else kernel
        bias = _bias(self)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        return add_bias(x @ kernel, bias)


class Conv(nn.Module):
    """Convolution of images [n, h, w, c].

    Attributes:
        features: number of channels out.
        kernel_size: of the window: one number for a square one, or (rows, columns); of waves
            [n, t, 1, c] it is (k, 1).
        stride: one of rows and columns, or (rows, columns).
        padding: "SAME" gives ceil(size / stride), "VALID" ceil((size - kernel_size + 1) / stride).
        spectral: whether the kernel, as a matrix [-1, features], has spectral norm 1.
        use_bias, kernel_init, dtype: as for `Dense`.
        pooled: whether `max_pool` follows, which is faster in one on CPU; for stride 1.
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    stride: int | tuple[int, int] = 1
    padding: Literal["SAME", "VALID"] = "SAME"
    spectral: bool = False
    use_bias: bool = True
    kernel_init: Initializer = lecun
    dtype: Any = None
    pooled: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n H W o"]:
        """Shape [n, H, W, features], H and W as `padding` says, halved if pooled."""
        _check_images(self, x)
        strides = _pair(self.stride)
        if self.pooled and strides != (1, 1):
            raise ValueError(f"Conv: pooled with stride={self.stride}; use stride=1 or max_pool.")
        shape = (*_pair(self.kernel_size), x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        kernel = spectral_kernel(self, kernel, context) if self.spectral else kernel
        bias = _bias(self)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        if self.pooled:
            return pooled_conv(x, kernel, bias, self.padding)
        y = conv.conv(x, kernel, strides, self.padding)
        return add_bias(y, bias)


class ConvTranspose(nn.Module):
    """Transposed convolution of [n, h, w, c] to `stride` times the size.

    The kernel is that of the strided convolution which is transposed, [kh, kw, features, c], as in
    PyTorch and as `flax.linen.ConvTranspose(transpose_kernel=True, padding="SAME")`: on CPU a step
    need not turn it round. It is drawn as the kernel of a convolution from c to `features`.

    Attributes: as for `Conv`; there is no spectral form.
    """

    features: int
    kernel_size: int | tuple[int, int] = 4
    stride: int | tuple[int, int] = 2
    use_bias: bool = True
    kernel_init: Initializer = lecun
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n H W o"]:
        """Shape [n, h * stride, w * stride, features]."""
        del context
        _check_images(self, x)
        shape = (*_pair(self.kernel_size), x.shape[-1], self.features)

        def start(key: jax.Array) -> Array:
            return self.kernel_init(key, shape, jnp.float32).swapaxes(2, 3)

        kernel = self.param("kernel", start)
        bias = _bias(self)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv.transposed_conv(x, kernel, _pair(self.stride))
        return add_bias(y, bias)


class ClassEmbedding(nn.Module):
    """One vector per class, to be handed to a conditional generator.

    Attributes:
        num_classes: labels are 0 .. num_classes - 1; others give NaN, hidden ones (-1) included.
        width: of the vectors, drawn from N(0, 1).
        dtype: dtype of the outputs.
    """

    num_classes: int
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, labels: Int[Array, " n"], *, context: Context) -> Float[Array, "n width"]:
        """Shape [n, width]."""
        del context
        table = self.param(
            "embedding", nn.initializers.normal(1.0), (self.num_classes, self.width), jnp.float32
        )
        (table,) = promote_dtype(table, dtype=self.dtype)
        return look_up(table, labels)


def look_up(
    table: Float[Array, "classes width"], labels: Int[Array, " n"]
) -> Float[Array, "n width"]:
    """The rows of `labels`; NaN for a label outside 0 .. classes - 1, hidden ones (-1) included."""
    labels = labels.astype(jnp.promote_types(labels.dtype, jnp.int32))
    known = jnp.where(labels < 0, table.shape[0], labels)  # negative ones would count from the end
    return jnp.take(table, known, axis=0, mode="fill", fill_value=jnp.nan)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _bias(module: Any) -> Array | None:
    if not module.use_bias:
        return None
    return module.param("bias", nn.initializers.zeros, (module.features,), jnp.float32)


def _check_images(module: nn.Module, x: Array) -> None:
    if x.ndim != 4:
        raise ValueError(
            f"{type(module).__name__}: inputs of shape {x.shape} have {x.ndim} axes; "
            "it takes images [n, height, width, channels]."
        )
