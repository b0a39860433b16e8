"""The MNIST pair of "Improved techniques for training GANs", Salimans et al. 2016, 1606.03498.

Trained with feature matching on the trunk's features, Adam 0.003 (beta1 0.5), batch 100, 300 epochs
and latents U(0, 1)^100, it gets 93 ± 6.5 of 10,000 test digits wrong from 100 labels (table 1).
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Dense
from gan_mtl.nets.mlp import MLPTrunk, with_condition
from gan_mtl.nets.outputs import Head, squash
from gan_mtl.nets.weight_norm import WeightNormDense
from gan_mtl.types import Context

_glorot = nn.initializers.glorot_uniform()
_normal = nn.initializers.normal(0.1)


class SalimansGenerator(nn.Module):
    """Latents - 500 - 500 - image: softplus after batch normalisation without a scale; sigmoid.

    The last layer is weight-normalised. Deviation: the authors initialise its g at 1, here it is
    |v|, which Glorot's initialiser puts near 1 too.

    Attributes:
        output_shape: of one image.
        width: of both hidden layers.
        dtype: compute dtype.
    """

    output_shape: tuple[int, ...] = (28, 28, 1)
    width: int = 500
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n ..."]:
        """Images in (0, 1), shape [n, *output_shape]."""
        x = with_condition(latents, condition)
        for _ in range(2):
            x = Dense(self.width, use_bias=False, kernel_init=_glorot, dtype=self.dtype)(
                x, context=context
            )
            x = BatchNorm(epsilon=1e-6, use_scale=False, dtype=self.dtype)(x, context=context)
            x = nn.softplus(x)
        out = WeightNormDense(math.prod(self.output_shape), kernel_init=_glorot, dtype=self.dtype)
        x = out(x, context=context)
        return squash(x, "sigmoid").reshape(x.shape[0], *self.output_shape)


def salimans_trunk(data_init: bool = True, dtype: Any = None) -> MLPTrunk:
    """1000 - 500 - 250 - 250 - 250 units, weight-normalised, ReLU; noise 0.3 on inputs, 0.5 inside.

    Kernels start at N(0, 0.1²); the scales g are set by the data at first and not trained, as in
    the authors' code. The features are the last layer's, before the noise that `salimans_head`
    adds: those that are matched.

    Args:
        data_init: whether the first scales and biases come from the examples given to `init`.
        dtype: compute dtype.
    """
    return MLPTrunk(
        (1000, 500, 250, 250, 250),
        activation=nn.relu,
        input_noise=0.3,
        hidden_noise=0.5,
        kernel_norm="weight",
        data_init=data_init,
        train_scale=False,
        kernel_init=_normal,
        dtype=dtype,
    )


def salimans_head(num_classes: int = 10, data_init: bool = True, dtype: Any = None) -> Head:
    """Noise 0.5, then one weight-normalised layer to the logits; that of "fake" is fixed at 0."""
    return Head(
        num_classes,
        noise=0.5,
        kernel_norm="weight",
        data_init=data_init,
        kernel_init=_normal,
        dtype=dtype,
    )
