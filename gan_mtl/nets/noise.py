"""Random layers whose draws belong to an example of the global batch, not to a device."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.types import Context


class GaussianNoise(nn.Module):
    """Adds N(0, std²) noise in training; the identity in evaluation.

    Attributes:
        std: standard deviation, at least 0.
    """

    std: float

    @nn.compact
    def __call__(self, x: Float[Array, "n ..."], *, context: Context) -> Float[Array, "n ..."]:
        """`x` plus noise, same shape and dtype; every example has its own draw."""
        if self.std < 0:
            raise ValueError(f"GaussianNoise: std={self.std} is negative; use 0 for no noise.")
        if not context.train or self.std == 0:
            return x
        own = context._replace(key=self.make_rng("draws"))
        return x + (self.std * draws.normal(x.shape[0], x.shape[1:], own)).astype(x.dtype)


class Dropout(nn.Module):
    """Inverted dropout in training; the identity in evaluation.

    Hinton et al. 2012, arXiv 1207.0580; kept units are divided by 1 - rate.

    Attributes:
        rate: probability that a unit is dropped, in [0, 1).
        channels: whether whole channels (the last axis) are dropped, at all places of an example
            alike (Tompson et al. 2015).
    """

    rate: float
    channels: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n ..."], *, context: Context) -> Float[Array, "n ..."]:
        """`x` with units dropped, same shape and dtype; every example has its own mask."""
        if not 0 <= self.rate < 1:
            raise ValueError(f"Dropout: rate={self.rate} is outside [0, 1).")
        if not context.train or self.rate == 0:
            return x
        own = context._replace(key=self.make_rng("draws"))
        places = (*[1] * (x.ndim - 2), x.shape[-1]) if self.channels else x.shape[1:]
        kept = draws.per_example(
            lambda key: jax.random.bernoulli(key, 1 - self.rate, places), x.shape[0], own
        )
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros_like(x))
