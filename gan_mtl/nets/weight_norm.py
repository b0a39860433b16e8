"""Weight normalisation (Salimans & Kingma 2016, arXiv 1602.07868)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_mtl.types import Context


class WeightNormDense(nn.Module):
    """A dense layer with w = g v / |v| (equation 2), one g per unit.

    Initialisation: v ~ `kernel_init`. Without `data_init`, g = |v|, so that w = v at first, and the
    bias is zero. With it (section 3 of the paper), g and the bias are such that on the batch that
    `init` receives every unit has mean 0 and variance 1: hand `init` a batch of real examples, a
    few hundred if possible; with fewer than two examples, or a unit that is constant over them, g
    is 1 and the unit is only centred.

    Attributes:
        features: number of units.
        data_init: whether g and the bias come from the data.
        train_scale: whether g is trained (Salimans et al. 2016 train it in the last layer only).
        kernel_init: initialiser of v; N(0, 0.05²) as in the paper (section 3).
        dtype: compute dtype; None promotes inputs and parameters.
    """

    features: int
    data_init: bool = False
    train_scale: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.05)
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n inputs"], *, context: Context) -> Float[Array, "n out"]:
        """`x w + b`, shape [n, features]."""
        del context
        v = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        norm = jnp.sqrt(jnp.sum(v**2, axis=0))
        scale, shift = norm, jnp.zeros_like(norm)
        if self.is_initializing() and self.data_init:
            scale, shift = _from_data(x.astype(v.dtype) @ (v / norm[None]))
        g = self.param("scale", lambda key: scale)
        bias = self.param("bias", lambda key: shift)
        if not self.train_scale:
            g = jax.lax.stop_gradient(g)
        x, w, bias = promote_dtype(x, v * (g / norm)[None], bias, dtype=self.dtype)
        return x @ w + bias[None]


def _from_data(t: Float[Array, "n out"]) -> tuple[Float[Array, " out"], Float[Array, " out"]]:
    """g = 1 / sigma[t] and b = -mu[t] / sigma[t] (equation 5)."""
    mean, std = t.mean(axis=0), t.std(axis=0)
    scale = jnp.where(std > 1e-6, 1 / jnp.maximum(std, 1e-6), 1.0)
    return scale, -mean * scale
