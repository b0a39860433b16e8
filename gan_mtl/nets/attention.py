"""Self-attention over the places of a map: SAGAN (Zhang et al. 2019, arXiv 1805.08318)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.conv import max_pool
from gan_mtl.nets.layers import Conv, Initializer, glorot
from gan_mtl.types import Context


class SelfAttention(nn.Module):
    """y = x + gamma * o, where o_i = W_o sum_j beta_ij W_g x_j and beta_i = softmax_j(q_i . k_j).

    Queries W_q x, keys W_k x and values W_g x are 1x1 convolutions without biases, to c / 8, c / 8
    and c / 2 channels (at least one). As in the authors' code, and not in the paper's text, keys
    and values are max-pooled over 2x2 places, and the products are not scaled. gamma is 0 at first:
    the layer begins as the identity.

    Attributes:
        spectral: whether all four kernels are spectrally normalised, as in SAGAN.
        kernel_init: initialiser of the kernels.
        dtype: compute dtype; the softmax is in float32 or wider.
    """

    spectral: bool = True
    kernel_init: Initializer = glorot
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n h w c"]:
        """Same shape; maps have at least 2x2 places, an odd last row or column has no key."""
        if x.ndim != 4 or min(x.shape[1:3]) < 2:
            raise ValueError(
                f"SelfAttention: inputs of shape {x.shape}; it takes maps [n, h, w, c] of at least "
                "2x2 places."
            )
        n, h, w, c = x.shape

        def project(x: Array, features: int, name: str) -> Array:
            return Conv(
                max(features, 1),
                1,
                spectral=self.spectral,
                use_bias=False,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                name=name,
            )(x, context=context)

        def places(x: Array) -> Array:
            return x.reshape(n, -1, x.shape[-1])

        query = places(project(x, c // 8, "query"))
        key = places(max_pool(project(x, c // 8, "key")))
        value = places(max_pool(project(x, c // 2, "value")))
        scores = jnp.einsum("nic,njc->nij", query, key)
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        beta = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        o = jnp.einsum("nij,njc->nic", beta, value).reshape(n, h, w, -1)
        gamma = self.param("gamma", nn.initializers.zeros, (), jnp.float32)
        o = project(o, c, "out")
        return x + gamma.astype(o.dtype) * o
