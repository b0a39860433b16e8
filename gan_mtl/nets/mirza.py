"""The MNIST pair of "Conditional generative adversarial nets", Mirza & Osindero 2014, 1411.1784.

Latents have 100 dimensions, uniform on the unit hypercube. The Parzen window of its samples gives
132 ± 1.8. The paper does not state its initialisation: the kernels here are drawn as in Goodfellow
et al. 2014, whose code the authors started from.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.nets.goodfellow import MNIST, GoodfellowTrunk, uniform_init
from gan_mtl.nets.layers import Dense, flatten
from gan_mtl.nets.maxout import Maxout
from gan_mtl.nets.mlp import with_condition
from gan_mtl.nets.noise import Dropout
from gan_mtl.nets.outputs import Output, squash
from gan_mtl.types import Context


class MirzaGenerator(nn.Module):
    """z - 200 and y - 1000, both ReLU, then 1200 (ReLU) - image (sigmoid); dropout in between.

    Attributes:
        output_shape: of one image.
        latent_width, condition_width, width: of the layers over z, over y and over both.
        dropout: rate after hidden layers, in training.
        output: "sigmoid" for images in (0, 1), as published; "tanh" for (-1, 1), "none".
        irange: kernels are uniform on (-irange, irange).
        dtype: compute dtype.
    """

    output_shape: tuple[int, ...] = MNIST
    latent_width: int = 200
    condition_width: int = 1000
    width: int = 1200
    dropout: float = 0.5
    output: Output = "sigmoid"
    irange: float = 0.05
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"],
        *,
        context: Context,
    ) -> Float[Array, "n ..."]:
        """Images, shape [n, *output_shape]; the condition is the one-hot label."""
        with_condition(latents, condition)
        plain: dict[str, Any] = {"kernel_init": uniform_init(self.irange), "dtype": self.dtype}

        def hidden(x: Array, width: int, name: str) -> Array:
            x = nn.relu(Dense(width, name=name, **plain)(x, context=context))
            return Dropout(self.dropout)(x, context=context)

        z = hidden(latents, self.latent_width, "latents")
        y = hidden(condition, self.condition_width, "condition")
        x = hidden(jnp.concatenate([z, y], axis=1), self.width, "joint")
        x = Dense(math.prod(self.output_shape), name="out", **plain)(x, context=context)
        return squash(x, self.output).reshape(x.shape[0], *self.output_shape)


def mirza_trunk(dropout: float = 0.5, dtype: Any = None) -> GoodfellowTrunk:
    """Images to 240 maxout units of 5 pieces: the discriminator's layer over x alone.

    Args:
        dropout: rate on the images, in training.
        dtype: compute dtype.
    """
    return GoodfellowTrunk((240,), 5, input_dropout=dropout, dtype=dtype)


class MirzaHead(nn.Module):
    """y - 50 maxout units of 5 pieces; with the features - 240 units of 4 pieces - logit.

    Attributes:
        num_classes: labels are 0 .. num_classes - 1; others have no input of their own.
        condition_width, condition_pieces: of the maxout layer over y.
        width, pieces: of that over both.
        dropout: rate on the inputs of the joint layer and of the last, in training.
        irange: kernels are uniform on (-irange, irange).
        dtype: compute dtype.
    """

    num_classes: int
    condition_width: int = 50
    condition_pieces: int = 5
    width: int = 240
    pieces: int = 4
    dropout: float = 0.5
    irange: float = 0.005
    dtype: Any = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "n ..."], labels: Int[Array, " n"], *, context: Context
    ) -> Float[Array, " n"]:
        """Logits, shape [n]."""
        x = flatten(features)
        if labels.shape != x.shape[:1]:
            raise ValueError(
                f"MirzaHead: labels of shape {labels.shape} for {x.shape[0]} examples; "
                "labels are one integer per example, shape [n]."
            )
        init = uniform_init(self.irange)
        condition = Maxout(
            self.condition_width, self.condition_pieces, init, self.dtype, name="condition"
        )
        y = condition(jax.nn.one_hot(labels, self.num_classes, dtype=x.dtype), context=context)
        x = Dropout(self.dropout)(jnp.concatenate([x, y], axis=1), context=context)
        joint = Maxout(self.width, self.pieces, init, self.dtype, name="joint")
        x = Dropout(self.dropout)(joint(x, context=context), context=context)
        out = Dense(1, kernel_init=init, dtype=self.dtype, name="out")
        return out(x, context=context)[:, 0]
