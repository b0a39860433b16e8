"""Statistics of groups of examples, shown to a discriminator."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Initializer, flatten
from gan_mtl.types import Context, batch_statistic


def minibatch_stddev(x: Float[Array, "n ... c"], group_size: int = 4) -> Float[Array, "n ... c+1"]:
    """Appends to each example how much its group varies (Karras et al. 2018, arXiv 1710.10196).

    Per group: the standard deviation over its examples of every feature at every place, sqrt of
    variance + 1e-8, averaged over features and places to one number; this is appended as one more
    feature, the same everywhere. Deviation: groups are consecutive examples (strided in StyleGAN),
    so that none straddles two devices and the number of devices does not change the result.

    Args:
        x: shape [n, ..., c].
        group_size: examples per group; must divide n (the device's share of it under pmap).

    Returns:
        Shape [n, ..., c + 1], dtype of `x`; statistics are taken in float32 or wider.

    Raises:
        ValueError: `group_size` does not divide n, or is below 1.
    """
    n = x.shape[0]
    _check_groups("minibatch_stddev", n, group_size)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    groups = wide.reshape(n // group_size, group_size, -1)
    statistic = jnp.sqrt(groups.var(axis=1) + 1e-8).mean(axis=1)
    statistic = batch_statistic("minibatch_stddev", statistic)
    column = jnp.repeat(statistic, group_size).reshape(n, *[1] * (x.ndim - 1))
    column = jnp.broadcast_to(column, (*x.shape[:-1], 1)).astype(x.dtype)
    return jnp.concatenate([x, column], axis=-1)


class MinibatchDiscrimination(nn.Module):
    """Appends to each example how close the others of its group are to it.

    Salimans et al. 2016, arXiv 1606.03498: with M_i = f_i T, a matrix [kernels, dim]
    of each example's features, o_ib = sum over j of exp(-|M_ib - M_jb|_1). The sum leaves out j = i
    (always 1), as the authors' code does. Deviation: the sum is over a group of consecutive
    examples, not over the whole batch, so that none straddles two devices.

    Attributes:
        kernels: B, features that are appended.
        dim: C, of the space that examples are compared in.
        group_size: examples per group; must divide the batch (the device's share under pmap). None
            is the whole batch, which under pmap is the device's share of it.
        kernel_init: of the tensor T, N(0, 0.05²) as in the authors' code.
        dtype: compute dtype of M; distances are taken in float32 or wider.
    """

    kernels: int = 100
    dim: int = 5
    group_size: int | None = None
    kernel_init: Initializer = nn.initializers.normal(0.05)
    dtype: Any = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "n ..."], *, context: Context
    ) -> Float[Array, "n d+kernels"]:
        """The features, flattened to [n, d], and `kernels` more: shape [n, d + kernels]."""
        del context
        x = flatten(features)
        n, size = x.shape[0], self.group_size or x.shape[0]
        _check_groups("MinibatchDiscrimination", n, size)
        tensor = self.param(
            "kernel", self.kernel_init, (x.shape[1], self.kernels * self.dim), jnp.float32
        )
        inputs, tensor = promote_dtype(x, tensor, dtype=self.dtype)
        m = (inputs @ tensor).reshape(n // size, size, self.kernels, self.dim)
        m = m.astype(jnp.promote_types(m.dtype, jnp.float32))
        distances = jnp.abs(m[:, :, None] - m[:, None]).sum(axis=-1)
        others = 1 - jnp.eye(size, dtype=m.dtype)[None, :, :, None]
        closeness = (jnp.exp(-distances) * others).sum(axis=2).reshape(n, self.kernels)
        closeness = batch_statistic("MinibatchDiscrimination", closeness)
        return jnp.concatenate([x, closeness.astype(x.dtype)], axis=1)


def _check_groups(name: str, n: int, group_size: int) -> None:
    """Raises ValueError unless `group_size` divides the batch of n examples."""
    if group_size < 1 or n % group_size:
        raise ValueError(
            f"{name}: group_size={group_size} does not divide the batch of {n} examples "
            f"(per device under pmap); use a group size that divides {n}, or another batch size."
        )
