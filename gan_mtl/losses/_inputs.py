"""Checks at the boundary of a loss: by name, with the offending shape and the remedy.

Losses compute in float32 at least: half precision is widened, float64 stays.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def wide(name: str, array: Array) -> Float[Array, " *dims"]:
    """The array in float32, or in float64 if it has that; refuses integers and booleans."""
    array = jnp.asarray(array)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected floating-point values, got dtype {array.dtype}; "
            f"cast them first, e.g. {name}.astype('float32')"
        )
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def logits_of(name: str, array: Array) -> Float[Array, " n"]:
    """One logit per example, shape [n], widened."""
    array = wide(name, array)
    if array.ndim != 1:
        remedy = (
            f"take the only column: {name}[:, 0]"
            if array.ndim == 2 and array.shape[1] == 1
            else "return one number per example, e.g. the mean over patches"
        )
        raise ValueError(
            f"{name}: expected one logit per example, shape [n], got {array.shape}; {remedy}"
        )
    return array


def rows_of(name: str, array: Array) -> Float[Array, "n d"]:
    """One row per example, shape [n, d], widened."""
    array = wide(name, array)
    if array.ndim != 2:
        raise ValueError(
            f"{name}: expected one row per example, shape [n, d], got {array.shape}; "
            f"flatten or pool it first, e.g. {name}.reshape(n, -1)"
        )
    return array


def same_shape(**arrays: Array) -> None:
    """Refuses arrays of unequal shapes, which would otherwise broadcast."""
    (first, a), *others = arrays.items()
    for name, b in others:
        if a.shape != b.shape:
            raise ValueError(
                f"{first} and {name}: shapes must be equal, got {a.shape} and {b.shape}; "
                "they would broadcast silently: reshape one, or draw as many of both"
            )


def same_width(**arrays: Array) -> None:
    """Refuses rows [n, d] and [m, d] of unequal d."""
    (first, a), *others = arrays.items()
    for name, b in others:
        if a.shape[1] != b.shape[1]:
            raise ValueError(
                f"{first} and {name}: widths must be equal, got {a.shape[1]} and {b.shape[1]}; "
                "take the same layer of both"
            )


def per_example_mean(values: Float[Array, " n *dims"]) -> Float[Array, " n"]:
    """The mean over everything but the first axis."""
    return values.mean(axis=tuple(range(1, values.ndim)))
