"""Generative multi-adversarial networks: softmax means over several discriminators."""

from __future__ import annotations

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_mtl.mtl._losses import descend, learned
from gan_mtl.mtl._precision import wide
from gan_mtl.types import Optimizer, Weighting

Mean = Literal["arithmetic", "geometric", "harmonic"]


def softmax_mean(
    losses: Float[Array, " tasks"], lam: float | Array, mean: Mean
) -> Float[Array, ""]:
    """F_lambda(V) with weights `w = softmax(lambda V)`: between the mean and the maximum.

    Arithmetic, `sum_i w_i V_i`; geometric, `-exp(sum_i w_i log(-V_i))`; harmonic, `1 / sum_i w_i /
    V_i`. The last two take values of one sign, negative as in the paper or positive (then without
    the two minus signs); of both signs they are NaN.
    """
    weights = jax.nn.softmax(lam * losses)
    if mean == "arithmetic":
        return (weights * losses).sum()
    sign = jnp.where((losses > 0).all(), 1.0, jnp.where((losses < 0).all(), -1.0, jnp.nan))
    sizes = sign * losses
    if mean == "geometric":
        return sign * jnp.exp((weights * jnp.log(sizes)).sum())
    return sign / (weights / sizes).sum()


def gman(
    mean: Mean = "arithmetic",
    lam: float = 1.0,
    c: float | None = None,
    optimizer: Optimizer | None = None,
) -> Weighting:
    """The gradient of a softmax mean of the losses: `w_i = dF_lambda(V) / dV_i`.

    V_i is the generator's loss against discriminator i. The weights of the mean are differentiated
    too: in the arithmetic case `w_i = softmax_i(lambda V) (1 + lambda (V_i - F))`, which sum to 1
    and are negative for losses far below the mean. lambda = 0 is the plain mean (GMAN-0), 1 is
    GMAN-1, infinity the maximum.

    With `c` it is GMAN*: the generator also learns lambda > 0, descending `F_lambda(V) - c lambda`.
    We learn rho in `lambda = softplus(rho)`, as the authors' code does (from rho = -2), which keeps
    it positive; the state is rho, a scalar, and the optimizer's.

    Args:
        mean: which mean; the geometric and the harmonic one need losses of one sign.
        lam: lambda >= 0; with `c` where it starts, then > 0.
        c: 0.001 in the paper; None keeps lambda.
        optimizer: of rho; None is Adam at 0.001.

    Reference:
        Durugkar, Gemp, Mahadevan, "Generative Multi-Adversarial Networks", ICLR 2017.
    """
    if mean not in get_args(Mean):
        raise ValueError(f"mean: expected one of {get_args(Mean)}, got {mean!r}")
    if not (lam > 0 or (lam == 0 and c is None)):
        raise ValueError(f"lam: expected a number >= 0, and > 0 if it is learned, got {lam}")
    optimizer = optax.adam(1e-3) if optimizer is None else optimizer
    gradient = jax.grad(softmax_mean, argnums=(0, 1))

    def init(num_tasks):
        del num_tasks
        if c is None:
            return ()
        rho = lam + math.log(-math.expm1(-lam))  # the inverse of softplus
        return learned(jnp.asarray(rho, float), optimizer)

    def update(key, losses, gramian, state):
        del key, gramian
        values = wide(losses)
        if c is None:
            return gradient(values, lam, mean)[0].astype(losses.dtype), state
        rate = jax.nn.softplus(state.value)
        weights, slope = gradient(values.astype(rate.dtype), rate, mean)
        slope = (slope - c) * jax.nn.sigmoid(state.value)
        return weights.astype(losses.dtype), descend(state, slope, optimizer)

    return Weighting(init, update, needs_gramian=False)
