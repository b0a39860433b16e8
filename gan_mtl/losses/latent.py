r"""Looking ahead: latents moved by the discriminator (LOGAN), and an unrolled discriminator.

Both are differentiable: what a loss of the result is differentiated by includes how the result came
about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import logits_of, wide
from gan_mtl.types import PyTree

Latents = Float[Array, " n *dims"]


def optimise_latents(
    value_fn: Callable[[Latents], Float[Array, " n"]],
    z: Latents,
    *,
    alpha: float = 0.9,
    beta: float = 5.0,
    method: Literal["natural", "gradient"] = "natural",
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    through_step: bool = True,
) -> Latents:
    r"""LOGAN's step: latents move to where the discriminator likes their images better.

    With :math:`f(z) = D(G(z))` and :math:`g = \partial f / \partial z` of each example,
    :math:`z' = \mathrm{clip}(z + \Delta z)` with :math:`\Delta z = \alpha\,g / (\lVert g \rVert^2 +
    \beta)` ("natural": the inverse of the damped empirical Fisher matrix :math:`g g^T + \beta I`
    applied to g) or :math:`\Delta z = \alpha\,g` ("gradient"). Both players' losses are then those
    of :math:`z'`.

    Gradients are kept as in the paper: a loss of :math:`G(z')` reaches the parameters of value_fn
    through the step too, by second derivatives. `through_step=False` holds the step constant (and
    saves them). Latents at a bound pass none on.

    Args:
        value_fn: latents `[n, ...]` to logits `[n]`, parameters closed over; examples apart.
        z: shape [n, ...].
        alpha: the rate, > 0.
        beta: the damping, >= 0; of "natural" only.
        method: see above.
        bounds: the latents' range, for uniform latents; None is no clipping, for normal ones.
        through_step: see above.

    Example:
        >>> optimise_latents(lambda z: 2 * z[:, 0], jnp.zeros((1, 2)), alpha=0.9, beta=5.0)
        Array([[0.2, 0. ]], dtype=float32)

    Reference:
        Wu et al., "LOGAN: Latent Optimisation for Generative Adversarial Networks", 2019. The
        paper's penalty on the size of the step is the caller's.
    """
    if method not in ("natural", "gradient"):
        raise ValueError(f"method: expected 'natural' or 'gradient', got {method!r}")
    if not (alpha > 0 and beta >= 0):
        raise ValueError(f"alpha, beta: expected alpha > 0 and beta >= 0, got {alpha}, {beta}")
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError(f"bounds: expected (low, high) with low < high, got {bounds}")
    z = wide("z", z)
    if z.ndim < 2:
        raise ValueError(f"z: expected latents of shape [n, ...], got {z.shape}")

    def total(z: Latents) -> Float[Array, ""]:
        values = logits_of("value_fn(z)", value_fn(z))
        if values.shape[0] != z.shape[0]:
            raise ValueError(
                f"value_fn(z): expected one value per latent, {len(z)}, got {len(values)}"
            )
        return values.sum()

    g = jax.grad(total)(z)
    step = alpha * g
    if method == "natural":
        step /= jnp.square(g).sum(axis=tuple(range(1, z.ndim)), keepdims=True) + beta
    moved = z + (step if through_step else jax.lax.stop_gradient(step))
    return moved if bounds is None else jnp.clip(moved, *bounds)


def unroll(
    loss_fn: Callable[[PyTree], Float[Array, ""]],
    params: PyTree,
    optimizer: optax.GradientTransformation,
    steps: int,
    *,
    state: PyTree | None = None,
) -> PyTree:
    r"""The parameters after `steps` updates, differentiable in everything that they depend on.

    :math:`\theta_{k+1} = \theta_k + \mathrm{optimizer}(-\nabla L(\theta_k))`. A generator whose
    loss is taken at the unrolled discriminator, with loss_fn the discriminator's loss on the same
    images, is told by second derivatives how the discriminator will answer. The discriminator
    itself goes on from its own parameters. A Python loop, so that convolutions stay outside loops.

    Args:
        loss_fn: parameters to a scalar.
        params: where to start.
        optimizer: descends loss_fn. A root of second moments has no derivative at 0: use
            `optax.adam(..., eps_root=1e-8)`, or plain `optax.sgd`.
        steps: how many, >= 0; memory and time grow with it.
        state: the optimizer's, to go on with it; None is a fresh one.

    Example:
        >>> unroll(lambda w: w**2, jnp.array(1.0), optax.sgd(0.25), 2)
        Array(0.25, dtype=float32)

    Reference:
        Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017.
    """
    if not steps >= 0:
        raise ValueError(f"steps: expected a number >= 0, got {steps}")
    carried: PyTree = optimizer.init(params) if state is None else state
    for _ in range(steps):
        gradient = jax.grad(loss_fn)(params)
        updates, carried = optimizer.update(gradient, carried, params)
        params = optax.apply_updates(params, updates)
    return params
