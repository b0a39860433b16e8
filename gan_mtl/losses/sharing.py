"""Penalties for what tasks share: relations between heads, low rank, orthogonal features.

Parameter penalties and batch statistics: all return a scalar. Holding parameters near those of
another task is `regularizers.l2_sp`, an optimizer's transformation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of

TINY = 1e-12  # inside the square root: features of zero have a finite gradient


def relation_penalty(
    weights: Float[Array, "d tasks"],
    omega: Float[Array, "tasks tasks"],
    *,
    ridge: float = 1e-6,
) -> Float[Array, ""]:
    """`tr(W Omega^-1 W')`: heads of related tasks are drawn together, of opposite ones apart.

    Trained in turns with Omega, which is a constant here: `metrics.task_covariance(weights)` is its
    closed form, held (stop_gradient) for some steps. At that Omega the value is the squared trace
    norm of W. The paper's weight of this term is lambda_2 / 2, next to lambda_1 / 2 of |W|^2.

    Args:
        weights: W, one column per task: its head's weights, flattened.
        omega: task covariance, positive semidefinite, of trace 1.
        ridge: times the identity, added to omega, which may be singular.

    Reference:
        Zhang & Yeung, "A Convex Formulation for Learning Task Relationships in Multi-Task
        Learning", UAI 2010.
    """
    weights = rows_of("weights", weights)
    tasks = weights.shape[1]
    if omega.shape != (tasks, tasks):
        raise ValueError(
            f"omega: expected shape {(tasks, tasks)} for weights of shape {weights.shape} (one "
            f"column per task), got {omega.shape}"
        )
    omega = jax.lax.stop_gradient(omega).astype(weights.dtype)
    solved = jnp.linalg.solve(omega + ridge * jnp.eye(tasks, dtype=omega.dtype), weights.T)
    return (weights.T * solved).sum()


@jax.custom_vjp
def _trace_norm(weights: Float[Array, "d tasks"]) -> Float[Array, ""]:
    return jnp.linalg.svd(weights, compute_uv=False).sum()


def _trace_norm_forward(weights: Array) -> tuple[Array, Array]:
    left, values, right = jnp.linalg.svd(weights, full_matrices=False)
    rounding = max(weights.shape) * jnp.finfo(values.dtype).eps * values.max()
    return values.sum(), (left * (values > rounding)[None]) @ right


_trace_norm.defvjp(_trace_norm_forward, lambda subgradient, cotangent: (cotangent * subgradient,))


def trace_norm(weights: Float[Array, "d tasks"]) -> Float[Array, ""]:
    """The sum of the singular values of W: heads, or networks, in few common directions.

    Its derivative is the subgradient U V' over the singular values that are not zero: the one of
    least norm, 0 at W = 0, where autodiff through the decomposition takes any.

    Args:
        weights: W, one column per task: its weights, flattened.

    Reference:
        Pong et al., "Trace Norm Regularization: Reformulations, Algorithms, and Multi-Task
        Learning", SIAM J. Optim. 2010; for networks Yang & Hospedales, "Trace Norm Regularised
        Deep Multi-Task Learning", ICLR workshop 2017.
    """
    return _trace_norm(rows_of("weights", weights))


def trace_norm_prox(
    weights: Float[Array, "d tasks"], tau: float | Float[Array, ""]
) -> Float[Array, "d tasks"]:
    """The W that minimises `tau |W|_tr + |W - weights|^2 / 2`: singular values shrunk by tau.

    Applied after a gradient step with tau = rate times strength it gives exact low rank, which the
    subgradient does not.
    """
    left, values, right = jnp.linalg.svd(rows_of("weights", weights), full_matrices=False)
    return (left * jnp.maximum(values - tau, 0)[None]) @ right


def orthogonality(
    shared: Float[Array, "n d"],
    private: Float[Array, "n e"],
    axis_name: str | None = None,
    *,
    normalise: bool = True,
) -> Float[Array, ""]:
    """`|S' H|_F^2`: the shared and the private features of a task say different things.

    A batch statistic: a scalar, equal on every device. Normalised, features are centred over the
    batch, every example's are divided by their norm, and S' H is a mean over examples: a value in
    [0, 1] that no batch size, width or scale of the features enters. (The code of domain separation
    networks sums S' H over examples, and averages its squares over the d e entries: n^2 / (d e)
    times this.) As the papers print it, `normalise=False`, it grows with the squares of all of
    these, and is known to explode.

    Args:
        shared: S, the shared encoder's features of one task's (or domain's) examples.
        private: H, the private encoder's features of the same examples; widths may differ.
        axis_name: the pmap axis; None under jit.

    Reference:
        Bousmalis et al., "Domain Separation Networks", NeurIPS 2016, equation 5; Liu, Qiu, Huang,
        "Adversarial Multi-task Learning for Text Classification", ACL 2017, equation 14.
    """
    shared, private = rows_of("shared", shared), rows_of("private", private)
    if shared.shape[0] != private.shape[0]:
        raise ValueError(
            "shared and private: features of the same examples are needed, got "
            f"{shared.shape[0]} and {private.shape[0]} rows"
        )
    n = shared.shape[0]
    if normalise:
        shared, private = _unit(shared, axis_name), _unit(private, axis_name)
        return jnp.square(_mean(shared.T @ private / n, axis_name)).sum()
    total = shared.T @ private
    return jnp.square(total if axis_name is None else jax.lax.psum(total, axis_name)).sum()


def _unit(features: Float[Array, "n d"], axis_name: str | None) -> Float[Array, "n d"]:
    """Features less their batch mean, every row of norm 1."""
    centred = features - _mean(features.mean(axis=0), axis_name)[None]
    return centred * jax.lax.rsqrt(jnp.square(centred).sum(axis=1, keepdims=True) + TINY)


def _mean(values: Array, axis_name: str | None) -> Array:
    return values if axis_name is None else jax.lax.pmean(values, axis_name)
