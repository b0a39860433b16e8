"""The geometric mean of the losses."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._losses import positive
from gan_mtl.mtl._precision import wide
from gan_mtl.types import Weighting


def gls() -> Weighting:
    """The gradient of `f = (prod_i l_i)^(1/K)`: `w_i = f / (K l_i)`.

    Computed through logarithms, as the product of many losses underflows. Tasks without labels in
    the batch (loss 0) have weight 0 and do not count in K.

    Reference:
        Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy
        for Multi-Task Learning", CVPR Workshops 2019.
    """

    def update(key, losses, gramian, state):
        del key, gramian
        values, present = positive(wide(losses))
        count = jnp.maximum(present.sum(), 1)
        mean = jnp.exp(jnp.log(values).sum() / count)
        return jnp.where(present, mean / (count * values), 0.0).astype(losses.dtype), state

    return Weighting(lambda num_tasks: (), update, needs_gramian=False, positive=True)
