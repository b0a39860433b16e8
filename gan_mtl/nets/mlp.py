"""Networks of dense layers: a generator and a trunk that heads attach to."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Activation, Dense, flatten, leaky_relu
from gan_mtl.nets.noise import Dropout, GaussianNoise
from gan_mtl.nets.outputs import KernelNorm, Output, linear, squash
from gan_mtl.types import Context


def with_condition(
    latents: Float[Array, "n z"], condition: Float[Array, "n e"] | None
) -> Float[Array, "n d"]:
    """Latents and, where there is one, a condition (an embedding, a one-hot label) side by side.

    Raises:
        ValueError: a shape other than [n, z] and [n, e].
    """
    if latents.ndim != 2 or (condition is not None and condition.shape[:-1] != latents.shape[:1]):
        shape = None if condition is None else condition.shape
        raise ValueError(
            f"generator: latents of shape {latents.shape} with a condition of shape {shape}; "
            "it takes latents [n, z] and a condition [n, e] (embed labels first: ClassEmbedding)."
        )
    return latents if condition is None else jnp.concatenate([latents, condition], axis=-1)


class MLPGenerator(nn.Module):
    """Latents (and a condition) to images through dense layers.

    Attributes:
        widths: of hidden layers.
        output_shape: of one image, such as (28, 28, 1).
        activation: after hidden layers.
        output: "sigmoid" for images in (0, 1), "tanh" for (-1, 1), "leaky_relu" for features that
            another network goes on from, "none".
        batch_norm: whether hidden layers are normalised before the activation.
        dtype: compute dtype; the images are float32 or wider.
    """

    widths: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Activation = leaky_relu
    output: Output = "sigmoid"
    batch_norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n ..."]:
        """Images, shape [n, *output_shape]."""
        x = with_condition(latents, condition)
        for width in self.widths:
            x = Dense(width, use_bias=not self.batch_norm, dtype=self.dtype)(x, context=context)
            x = BatchNorm(dtype=self.dtype)(x, context=context) if self.batch_norm else x
            x = self.activation(x)
        x = Dense(math.prod(self.output_shape), dtype=self.dtype, name="out")(x, context=context)
        return squash(x, self.output).reshape(x.shape[0], *self.output_shape)


class MLPTrunk(nn.Module):
    """Inputs of any shape, flattened, to features through dense layers.

    Per layer: noise (`input_noise` before the first, `hidden_noise` before the others), the dense
    layer, the activation, dropout. The features come without noise: `Head(noise=...)` adds it.

    Attributes:
        widths: of the layers; the last is the features' width. At least one.
        activation: after every layer.
        input_noise, hidden_noise: standard deviations, in training only.
        dropout: rate after every layer's activation, in training only.
        kernel_norm: None, "weight" or "spectral".
        data_init, train_scale: for "weight", see `WeightNormDense`.
        kernel_init: initialiser of the kernels; None is the layer's own.
        return_hidden: whether all layers' outputs are returned too.
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    activation: Activation = leaky_relu
    input_noise: float = 0.0
    hidden_noise: float = 0.0
    dropout: float = 0.0
    kernel_norm: KernelNorm = None
    data_init: bool = False
    train_scale: bool = True
    kernel_init: nn.initializers.Initializer | None = None
    return_hidden: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "n ..."], *, context: Context
    ) -> Float[Array, "n w"] | tuple[Float[Array, "n w"], tuple[Array, ...]]:
        """Features [n, widths[-1]]; with `return_hidden` `(features, (layer 1, ..., features))`."""
        if not self.widths:
            raise ValueError("MLPTrunk: widths=() has no layer; give at least one width.")
        keywords: dict[str, Any] = {}
        if self.kernel_norm == "weight":
            keywords = {"data_init": self.data_init, "train_scale": self.train_scale}
        if self.kernel_init is not None:
            keywords["kernel_init"] = self.kernel_init
        x, hidden = flatten(inputs), []
        for i, width in enumerate(self.widths):
            x = GaussianNoise(self.hidden_noise if i else self.input_noise)(x, context=context)
            x = linear(width, self.kernel_norm, self.dtype, **keywords)(x, context=context)
            x = Dropout(self.dropout)(self.activation(x), context=context)
            hidden.append(x)
        return (x, tuple(hidden)) if self.return_hidden else x
