r"""Gradient reversal as an operation on features, for networks outside of a table.

In a `Game` a negative entry does the same for every objective and group apart, without an operation
in the network; this one gives the identical update where it stands between features and head.

Reference:
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, arXiv 1505.07818.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def _reversed(x: Array, coefficient: Array) -> Array:
    del coefficient
    return x


@_reversed.defjvp
def _reversed_tangent(primals, tangents):
    x, coefficient = primals
    return x, -jnp.asarray(coefficient, x.dtype) * tangents[0]


def gradient_reversal(
    x: Float[Array, " *dims"], coefficient: float | Float[Array, ""] = 1.0
) -> Float[Array, " *dims"]:
    r"""`x` bit for bit; its derivative is :math:`-\lambda` times the identity.

    Args:
        x: features of any shape.
        coefficient: :math:`\lambda`, a number or a traced scalar; nothing is differentiated by it.

    Example:
        >>> jax.grad(lambda x: gradient_reversal(x, 0.5) ** 2)(3.0)
        Array(-3., dtype=float32, weak_type=True)
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x: only floating-point values have a gradient, got dtype {x.dtype}")
    if jnp.shape(coefficient) != ():
        raise ValueError(f"coefficient: expected a scalar, got shape {jnp.shape(coefficient)}")
    return _reversed(x, coefficient)
