"""CR-MOGM: any weighting, its weights averaged over the steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.types import Weighting


class CrMogmState(NamedTuple):
    """inner: the weighting's own; weights: averaged."""

    inner: Any
    weights: Float[Array, " tasks"]


def cr_mogm(weighting: Weighting, alpha: float = 0.9) -> Weighting:
    """lambda_t = alpha lambda_{t-1} + (1 - alpha) w_t (Zhou et al. 2022).

    NeurIPS 2022, "On the convergence of stochastic multi-objective gradient manipulation and
    beyond". w_t are the weights of `weighting`, lambda_0 = 1 / T. The average decorrelates weights
    and gradients, with which stochastic MGDA, PCGrad and CAGrad converge; the paper (corollary 1)
    lets alpha rise as the learning rate falls, here it is fixed. What `weighting` guarantees in one
    step (no conflict) is lost. A weight that is not finite is passed on and leaves the average
    alone.

    Args:
        weighting: one that maps losses or a Gramian to weights.
        alpha: in [0, 1); 0 is `weighting` itself. The default is TorchJD's.
    """
    if not isinstance(weighting, Weighting):
        raise TypeError(f"weighting: expected a Weighting, got {type(weighting).__name__}")
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha: expected a number in [0, 1), got {alpha}")
    observed = weighting.observe

    def init(num_tasks):
        return CrMogmState(weighting.init(num_tasks), jnp.ones(num_tasks) / num_tasks)

    def update(key, losses, gramian, state):
        now, inner = weighting.update(key, losses, gramian, state.inner)
        before = state.weights.astype(now.dtype)
        after = alpha * before + (1 - alpha) * now
        kept = jnp.where(jnp.isfinite(now), after, before).astype(state.weights.dtype)
        return after, CrMogmState(inner, kept)

    def observe(losses, state):
        assert observed is not None
        return state._replace(inner=observed(losses, state.inner))

    return weighting._replace(
        init=init, update=update, observe=None if observed is None else observe
    )
