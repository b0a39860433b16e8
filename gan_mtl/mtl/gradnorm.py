"""GradNorm: weights that even out the gradient norms and the rates of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_mtl.mtl._losses import Learned, descend, learned, one_each, positive, softmax_pullback
from gan_mtl.types import Optimizer, Weighting


class GradNormState(NamedTuple):
    """Logits of the weights, and every task's first loss (0 as long as it has not been seen)."""

    logits: Learned
    first: Float[Array, " tasks"]


def gradnorm(
    alpha: float = 1.5,
    optimizer: Optimizer | None = None,
    *,
    first: Sequence[float] | None = None,
) -> Weighting:
    """Descends `sum_i |G_i - mean(G) r_i^alpha|` in the weights, where `G_i = w_i |g_i|`.

    `r_i = (l_i / l_i(0)) / mean_j(l_j / l_j(0))` is the inverse rate of training; the target
    `mean(G) r_i^alpha` is a constant for the gradient. |g_i| is the root of the Gramian's diagonal,
    over all shared groups; the paper takes the last shared layer to save time. `w = K softmax(s)`
    keeps the sum at K, as in LibMTL; the paper rescales free weights after every step, which lets
    them turn negative. The weights of a step are those before its update (algorithm 1). Private
    groups take their gradient times the weight. Tasks without labels in the batch (loss 0) are left
    out of all means and have gradient 0. The state is s, shape [T], its optimizer's, and l(0).

    Args:
        alpha: how strongly slow tasks are pulled up; 1.5 on NYUv2, 0.12 for similar tasks.
        optimizer: of s; None is Adam at 0.025, the paper's for its weights.
        first: l_i(0); None takes each task's first loss. The paper advises log C for a cross
            entropy over C classes where the first loss depends much on the initialisation.

    Reference:
        Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
        Multitask Networks", ICML 2018, equations 1 and 2.
    """
    optimizer = optax.adam(0.025) if optimizer is None else optimizer
    given = first

    def init(num_tasks):
        one_each("first", given, num_tasks)
        seen = jnp.zeros(num_tasks) if given is None else jnp.asarray(given, float)
        return GradNormState(learned(jnp.zeros(num_tasks), optimizer), seen)

    def update(key, losses, gramian, state):
        del key
        logits, seen = state
        values, present = positive(losses.astype(seen.dtype))
        norms = jnp.sqrt(jnp.maximum(jnp.diagonal(gramian), 0)).astype(seen.dtype)
        good = jnp.isfinite(values) & jnp.isfinite(norms)
        present = present & good
        seen = jnp.where((seen == 0) & present, values, seen)
        share = jax.nn.softmax(logits.value)
        weights = losses.size * share

        def mean(x):
            return jnp.where(present, x, 0.0).sum() / jnp.maximum(present.sum(), 1)

        progress = values / jnp.where(seen == 0, 1.0, seen)
        rate = progress / mean(progress)
        off = weights * norms - mean(weights * norms) * rate**alpha
        gradient = jnp.where(present, jnp.sign(off) * norms, 0.0)
        logits = descend(logits, softmax_pullback(share, losses.size * gradient), optimizer)
        weights = jnp.where(good, weights, jnp.nan)
        return weights.astype(losses.dtype), GradNormState(logits, seen)

    return Weighting(init, update, positive=True, scales_private=True)
