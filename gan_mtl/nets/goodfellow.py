"""The MNIST pair of "Generative adversarial nets", Goodfellow et al. 2014, arXiv 1406.2661.

Sizes, dropout and initialisation as in the authors' configuration for MNIST; latents are uniform on
(-sqrt 3, sqrt 3) there, so of variance 1, and have 100 dimensions. The Parzen window of its samples
gives 225 ± 2 (table 1).
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Dense, Initializer, add_bias, flatten
from gan_mtl.nets.maxout import Maxout
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.noise import Dropout
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.types import Context

MNIST = (28, 28, 1)


def uniform_init(irange: float) -> Initializer:
    """U(-irange, irange), as kernels were drawn in these papers' code.

    Raises:
        ValueError: `irange` is not positive.
    """
    if not irange > 0:
        raise ValueError(f"uniform_init: irange={irange} is not positive.")

    def init(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -irange, irange)

    return init


def marginal_bias(images: Float[np.ndarray | Array, "n ..."]) -> Initializer:
    """The bias b of a sigmoid layer whose images have the pixels' means: b = logit(mean).

    Means are kept within [1e-7, 1 - 1e-7], as in the authors' code.

    Args:
        images: of the training set, shape [n, ...], in [0, 1].

    Raises:
        ValueError: values outside [0, 1].
    """
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"marginal_bias: images in [{images.min()}, {images.max()}] have no logit; "
            "scale them to [0, 1]."
        )
    mean = jnp.clip(jnp.asarray(images, jnp.float32).mean(axis=0).reshape(-1), 1e-7, 1 - 1e-7)
    bias = jnp.log(mean) - jnp.log1p(-mean)

    def init(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        del key
        return bias.reshape(shape).astype(dtype)

    return init


class GoodfellowGenerator(nn.Module):
    """Latents - 1200 - 1200 (ReLU) - image (sigmoid); kernels from U(-0.05, 0.05).

    Attributes:
        output_shape: of one image.
        width: of both hidden layers.
        output: "sigmoid" for images in (0, 1), as published; "tanh" for (-1, 1), "none".
        bias_init: of the last layer; `marginal_bias(images)` is the authors'.
        irange: kernels are uniform on (-irange, irange).
        dtype: compute dtype.
    """

    output_shape: tuple[int, ...] = MNIST
    width: int = 1200
    output: Output = "sigmoid"
    bias_init: Initializer = nn.initializers.zeros
    irange: float = 0.05
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
        plain: dict[str, Any] = {"kernel_init": uniform_init(self.irange), "dtype": self.dtype}
        x = with_condition(latents, condition)
        for _ in range(2):
            x = nn.relu(Dense(self.width, **plain)(x, context=context))
        size = math.prod(self.output_shape)
        x = Dense(size, use_bias=False, name="out", **plain)(x, context=context)
        bias = self.param("out_bias", self.bias_init, (size,), jnp.float32)
        x = add_bias(x, bias.astype(x.dtype))
        return squash(x, self.output).reshape(x.shape[0], *self.output_shape)


class GoodfellowTrunk(nn.Module):
    """Images to features by two maxout layers, each of which drops some of its inputs.

    Attributes:
        widths: units of the layers.
        pieces: per unit.
        input_dropout, dropout: rates on the images and on inner layers' inputs, in training.
        irange: kernels are uniform on (-irange, irange).
        dtype: compute dtype.
    """

    widths: tuple[int, ...] = (240, 240)
    pieces: int = 5
    input_dropout: float = 0.2
    dropout: float = 0.5
    irange: float = 0.005
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n ..."], *, context: Context) -> Float[Array, "n w"]:
        """Features, shape [n, widths[-1]]; the dropout of the next layer is `GoodfellowHead`'s."""
        x = flatten(images)
        for i, width in enumerate(self.widths):
            x = Dropout(self.dropout if i else self.input_dropout)(x, context=context)
            x = Maxout(width, self.pieces, kernel_init=uniform_init(self.irange), dtype=self.dtype)(
                x, context=context
            )
        return x


class GoodfellowHead(nn.Module):
    """Dropout and one linear unit: features to the logit of "real" (the sigmoid is the loss's).

    Attributes:
        dropout: rate on the features, in training.
        irange: the kernel is uniform on (-irange, irange).
        dtype: compute dtype.
    """

    dropout: float = 0.5
    irange: float = 0.005
    dtype: Any = None

    @nn.compact
    def __call__(self, features: Float[Array, "n ..."], *, context: Context) -> Float[Array, " n"]:
        """Logits, shape [n]."""
        x = Dropout(self.dropout)(flatten(features), context=context)
        out = Dense(1, kernel_init=uniform_init(self.irange), dtype=self.dtype, name="out")
        return out(x, context=context)[:, 0]
