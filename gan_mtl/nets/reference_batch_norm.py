"""Virtual batch normalisation (Salimans et al. 2016, arXiv 1606.03498).

Every example is normalised by the statistics of a fixed reference batch and of itself, so that no
example's output depends on the others of its batch. The reference batch goes through the network
at every pass: `WithReference` puts it before the batch, and drops its outputs.

    network = from_linen(WithReference(Network(norm=VirtualBatchNorm(64)), 64))
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.dcgan import scale_normal
from gan_mtl.types import Context


class VirtualBatchNorm(nn.Module):
    """Batch normalisation by the first `reference` examples, and by each example itself.

    With mu_r, m_r the reference batch's mean and mean square over r examples and all places, and
    mu_x, m_x those of example x over its places, mu = (mu_x + r mu_r) / (r + 1), m alike, and
    y = scale * (x - mu) / sqrt(m - mu² + eps) + bias. The reference examples are normalised by
    mu_r and m_r. There is no running average: training and evaluation are the same.

    Attributes:
        reference: r, how many of the first examples are the reference batch.
        epsilon: added to the variance.
        dtype: of the outputs; statistics are taken in float32 or wider.
    """

    reference: int
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "r+n ... c"], *, context: Context
    ) -> Float[Array, "r+n ... c"]:
        """Same shape; the first r examples are the reference batch's."""
        del context
        r = self.reference
        if r < 1 or x.shape[0] < r:
            raise ValueError(
                f"VirtualBatchNorm: reference={r} for {x.shape[0]} examples; the first of them are "
                "the reference batch: run the network inside WithReference(network, size)."
            )
        scale = self.param("scale", scale_normal, x.shape[-1:], jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:], jnp.float32)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        places = tuple(range(1, x.ndim - 1))

        def moment(own: Array) -> Array:
            """Each example's, from its own: those of the reference batch share one."""
            fixed = own[:r].mean(axis=0, keepdims=True)
            fixed_rows = jnp.broadcast_to(fixed, own[:r].shape)
            return jnp.concatenate([fixed_rows, (own[r:] + r * fixed) / (r + 1)])

        mean = moment(wide.mean(axis=places, keepdims=True))
        square = moment((wide**2).mean(axis=places, keepdims=True))
        variance = jnp.maximum(square - mean**2, 0)
        y = (wide - mean) * jax.lax.rsqrt(variance + self.epsilon)
        shape = (1,) * (x.ndim - 1) + (-1,)
        y = y * scale.reshape(shape) + bias.reshape(shape)
        return y.astype(self.dtype or x.dtype)


class WithReference(nn.Module):
    """Runs `network` on a fixed reference batch followed by the inputs; returns the inputs' part.

    The reference batch is the first `size` examples that `init` receives, kept in the collection
    `"reference"`; under pmap every device has it whole. Layers that draw per example (noise,
    dropout) would count the reference batch in: leave them outside.

    Attributes:
        network: the module with `VirtualBatchNorm(size)` layers.
        size: of the reference batch.
    """

    network: nn.Module
    size: int

    @nn.compact
    def __call__(self, *inputs: Array, context: Context) -> Array:
        """What `network` gives for the inputs."""
        if self.is_initializing() and inputs[0].shape[0] < self.size:
            raise ValueError(
                f"WithReference: size={self.size} of a reference batch, and init received "
                f"{inputs[0].shape[0]} examples: hand it at least as many, or lower the size."
            )
        joined = []
        for i, x in enumerate(inputs):
            kept = self.variable("reference", f"input_{i}", lambda x=x: x[: self.size])
            joined.append(jnp.concatenate([kept.value.astype(x.dtype), x]))
        return self.network(*joined, context=context)[self.size :]  # type: ignore[operator]
