"""Random draws that belong to an example of the global batch, not to a device or a slice.

The key of example i is `fold_in(context.key, i)` with i its number in the global batch: one device,
eight devices, jit, pmap and accumulated slices draw the same values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Int

from gan_mtl.types import Context


def per_example(draw: Callable[[jax.Array], Array], n: int, context: Context) -> Array:
    """`draw(key)` for each of the slice's n examples, stacked: shape [n, ...]."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(context.key, context.index(n))
    return jax.vmap(draw)(keys)


def normal(n: int, shape: tuple[int, ...], context: Context) -> Float[Array, "n ..."]:
    """Standard normal values, shape [n, *shape]."""
    return per_example(lambda key: jax.random.normal(key, shape), n, context)


def uniform(
    n: int, shape: tuple[int, ...], context: Context, low: float = 0.0, high: float = 1.0
) -> Float[Array, "n ..."]:
    """Uniform values in [low, high), shape [n, *shape]."""
    draw = functools.partial(jax.random.uniform, shape=shape, minval=low, maxval=high)
    return per_example(draw, n, context)


def integers(n: int, high: int, context: Context) -> Int[Array, " n"]:
    """Uniform integers in 0 .. high - 1, shape [n]."""
    return per_example(lambda key: jax.random.randint(key, (), 0, high), n, context)
