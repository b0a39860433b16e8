r"""The gradient penalty of a critic between two domains' features.

Reference:
    Shen, Qu, Zhang, Yu, "Wasserstein Distance Guided Representation Learning for Domain
    Adaptation", AAAI 2018, arXiv 1707.01217.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of
from gan_mtl.losses.penalties import (
    DiscFn,
    distance_from_one,
    gradient_penalty,
    squared_gradient_norm,
)
from gan_mtl.types import Context


def critic_penalty(
    critic_fn: DiscFn, source: Float[Array, "n d"], target: Float[Array, "n d"], context: Context
) -> Float[Array, " n"]:
    r""":math:`(\lVert \nabla_{\hat h} f_w(\hat h) \rVert_2 - 1)^2`, the mean over three points.

    :math:`\hat h` is an example's source features, its target features and a random
    point between the two (`penalties.gradient_penalty` has the last alone). The factor gamma is
    the caller's.

    Args:
        critic_fn: features [n, d] to values [n].
        source, target: as many of both, in pairs.
        context: the points between belong to the global examples.
    """
    source, target = rows_of("source", source), rows_of("target", target)
    between = gradient_penalty(critic_fn, source, target, context)
    ends = [distance_from_one(squared_gradient_norm(critic_fn, x)) for x in (source, target)]
    return jnp.stack([*ends, between]).mean(axis=0)
