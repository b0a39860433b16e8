"""Weights that a person gives: linear scalarisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp

from gan_mtl.mtl._losses import one_each
from gan_mtl.types import Weighting


def fixed(alpha: Sequence[float], *, normalise: bool = False) -> Weighting:
    """`w_i = alpha_i`, whatever the losses: the gradient of `sum_i alpha_i l_i`.

    With tuned weights this is the baseline that the literature's methods are to be compared with
    (Kurin et al., "In Defense of the Unitary Scalarization for Deep Multi-Task Learning", NeurIPS
    2022; Xin et al., "Do Current Multi-Task Optimization Methods in Deep Learning Even Help?",
    NeurIPS 2022).

    Args:
        alpha: one finite number >= 0 per objective, in the order of the table.
        normalise: whether to divide by their sum, which makes the combination convex.
    """
    alpha = tuple(float(a) for a in alpha)
    if not all(math.isfinite(a) and a >= 0 for a in alpha) or not sum(alpha) > 0:
        raise ValueError(f"alpha: expected finite numbers >= 0, not all 0, got {alpha}")
    scale = 1 / sum(alpha) if normalise else 1.0

    def init(num_tasks):
        one_each("alpha", alpha, num_tasks)
        return ()

    def update(key, losses, gramian, state):
        del key, gramian
        return scale * jnp.asarray(alpha, losses.dtype), state

    return Weighting(init, update, needs_gramian=False)
