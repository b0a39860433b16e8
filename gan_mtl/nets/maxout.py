"""The maxout layer of "Maxout networks", Goodfellow et al. 2013, arXiv 1302.4389."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Dense, Initializer, lecun
from gan_mtl.types import Context


class Maxout(nn.Module):
    """h_i = max_j (x W_ij + b_ij): every unit is the largest of `pieces` affine functions.

    The kernel is that of one dense layer, [inputs, features * pieces]; the pieces of a unit stand
    side by side.

    Attributes:
        features: number of units.
        pieces: affine functions per unit.
        kernel_init: initialiser of W; the biases are zero at first.
        dtype: compute dtype.
    """

    features: int
    pieces: int
    kernel_init: Initializer = lecun
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n inputs"], *, context: Context) -> Float[Array, "n out"]:
        """Shape [n, features]."""
        if self.pieces < 1:
            raise ValueError(f"Maxout: pieces={self.pieces} is below 1; give at least one piece.")
        pieces = Dense(
            self.features * self.pieces,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="pieces",
        )(x, context=context)
        return pieces.reshape(x.shape[0], self.features, self.pieces).max(axis=2)
