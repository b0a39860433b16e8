"""Statistics of groups of examples, shown to a discriminator."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.types import batch_statistic


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
    if group_size < 1 or n % group_size:
        raise ValueError(
            f"minibatch_stddev: group_size={group_size} does not divide the batch of {n} examples "
            f"(per device under pmap); use a group size that divides {n}, or another batch size."
        )
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    groups = wide.reshape(n // group_size, group_size, -1)
    statistic = jnp.sqrt(groups.var(axis=1) + 1e-8).mean(axis=1)
    statistic = batch_statistic("minibatch_stddev", statistic)
    column = jnp.repeat(statistic, group_size).reshape(n, *[1] * (x.ndim - 1))
    column = jnp.broadcast_to(column, (*x.shape[:-1], 1)).astype(x.dtype)
    return jnp.concatenate([x, column], axis=-1)
