"""In what precision losses and rows are summed and multiplied."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def wide(values: Float[Array, " *dims"]) -> Float[Array, " *dims"]:
    """The values in float32, or in float64 if they have that."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))
