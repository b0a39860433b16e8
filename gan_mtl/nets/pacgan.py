"""The pair for planar mixtures of "PacGAN: the power of two samples in generative adversarial
networks", Lin et al. 2018, arXiv 1712.04086, as in the authors' code for the ring and the grid.

Latents are N(0, I_2). A pack of m points is one input of 2 m values: packing is the game's.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.nets.layers import Dense, dcgan_normal, flatten
from gan_mtl.nets.maxout import Maxout
from gan_mtl.nets.mlp import with_condition
from gan_mtl.types import Context


class PacGANGenerator(nn.Module):
    """Latents - 4 x 400 (batch normalisation, ReLU) - points; kernels from N(0, 0.02²).

    Hidden layers have no bias of their own. Batch normalisation keeps the biased variance and adds
    1e-4 to it, as theirs does; its running averages have momentum 0.95.

    Attributes:
        features: values of a point.
        width: of the hidden layers.
        depth: number of hidden layers.
        dtype: compute dtype.
    """

    features: int = 2
    width: int = 400
    depth: int = 4
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n features"]:
        """Points, shape [n, features], any real values."""
        plain: dict[str, Any] = {"kernel_init": dcgan_normal, "dtype": self.dtype}
        x = with_condition(latents, condition)
        for _ in range(self.depth):
            x = Dense(self.width, use_bias=False, **plain)(x, context=context)
            x = BatchNorm(momentum=0.95, epsilon=1e-4, dtype=self.dtype)(x, context=context)
            x = nn.relu(x)
        return Dense(self.features, name="out", **plain)(x, context=context)


class PacGANTrunk(nn.Module):
    """Points (or packs of them) - 3 x 200 maxout units of 5 pieces; kernels from N(0, 0.02²).

    Attributes:
        width: of the layers.
        pieces: per unit.
        depth: number of layers.
        dtype: compute dtype.
    """

    width: int = 200
    pieces: int = 5
    depth: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(
        self, points: Float[Array, "n ..."], *, context: Context
    ) -> Float[Array, "n width"]:
        """Features, shape [n, width]."""
        x = flatten(points)
        for _ in range(self.depth):
            x = Maxout(self.width, self.pieces, dcgan_normal, self.dtype)(x, context=context)
        return x


class PacGANHead(nn.Module):
    """One linear unit: features to the logit of "real"; its kernel from N(0, 0.02²).

    Attributes:
        dtype: compute dtype.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, features: Float[Array, "n ..."], *, context: Context) -> Float[Array, " n"]:
        """Logits, shape [n]."""
        out = Dense(1, kernel_init=dcgan_normal, dtype=self.dtype, name="out")
        return out(flatten(features), context=context)[:, 0]
