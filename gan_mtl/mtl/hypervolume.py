"""Hypervolume maximisation over several discriminators (HV-GAN)."""

from __future__ import annotations

import jax.numpy as jnp

from gan_mtl.mtl._precision import wide
from gan_mtl.types import Weighting

EPSILON = 1e-8


def hypervolume(slack: float = 1.1, eta: float | None = None) -> Weighting:
    """The gradient of `-sum_k log(eta - l_k)`: `w_k = 1 / (eta - l_k)`.

    The larger a loss (the stronger its discriminator), the larger its weight. The nadir point
    follows the losses, `eta = slack max_k l_k + 1e-8`, and is a constant for the gradient; with a
    large slack the weights become equal. Losses may have any sign: our eta is `max + (slack - 1)
    |max| + 1e-8`, which is the same for positive ones and above all of them for negative ones.

    Args:
        slack: > 1; the defaults of the authors' code are 1.1 (loop) and 1.5 (command line).
        eta: a fixed nadir point instead; a loss that reaches it makes its weight NaN.

    Reference:
        Albuquerque et al., "Multi-objective training of Generative Adversarial Networks with
        multiple discriminators", ICML 2019; the nadir point as in the authors' code.
    """
    if not slack > 1:
        raise ValueError(f"slack: expected a number > 1, got {slack}")

    def update(key, losses, gramian, state):
        del key, gramian
        values = wide(losses)
        if eta is None:
            largest = values.max()
            gap = (largest - values) + (slack - 1) * jnp.abs(largest) + EPSILON
        else:
            gap = eta - values
        return jnp.where(gap > 0, 1 / gap, jnp.nan).astype(losses.dtype), state

    return Weighting(lambda num_tasks: (), update, needs_gramian=False)
