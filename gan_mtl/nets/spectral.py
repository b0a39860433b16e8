"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.types import Context

INIT_ITERATIONS = 15  # power iterations at initialisation, so that the first sigma is already close


def power_iteration(
    matrix: Float[Array, "inputs out"], u: Float[Array, " out"], steps: int = 1, eps: float = 1e-12
) -> tuple[Float[Array, ""], Float[Array, " out"]]:
    """Estimates the largest singular value of W: Algorithm 1 of the paper.

    v = W u / |W u|, u = Wᵀ v / |Wᵀ v| (`steps` times), sigma = vᵀ W u. Gradients flow through W in
    sigma alone: u and v are constants, so dsigma/dW = v uᵀ.

    Args:
        matrix: W, shape [inputs, out].
        u: the current estimate of the right singular vector, shape [out].
        steps: number of iterations; 0 keeps u and only computes v.
        eps: floor of the norms.

    Returns:
        sigma, shape [], and the new u, shape [out].
    """
    constant = jax.lax.stop_gradient(matrix)
    if steps > 1:
        u = jax.lax.fori_loop(
            0, steps - 1, lambda _, u: _unit(_unit(constant @ u, eps) @ constant, eps), u
        )
    v = _unit(constant @ u, eps)
    u = _unit(v @ constant, eps) if steps else u
    v, u = jax.lax.stop_gradient((v, u))
    return v @ matrix @ u, u


def spectral_kernel(
    module: nn.Module, kernel: Float[Array, "*inputs out"], context: Context
) -> Float[Array, "*inputs out"]:
    """The kernel over its estimated spectral norm; to be called inside a compact method.

    The kernel is reshaped to (-1, out). u lives in the collection `"spectral"`, is moved by one
    iteration in every training pass, and stays as it is in evaluation, where sigma = |W u|.
    (PyTorch keeps v too and evaluates with the stored one.)

    Args:
        module: the calling module, which owns u.
        kernel: shape [..., out], in the parameters' dtype.
        context: only `train` is read.

    Returns:
        The normalised kernel, same shape and dtype.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])

    def start() -> Array:
        u = jax.random.normal(module.make_rng("params"), matrix.shape[1:], matrix.dtype)
        return power_iteration(matrix, _unit(u, 1e-12), INIT_ITERATIONS)[1]

    stored = module.variable("spectral", "u", start)
    moves = context.train and not module.is_initializing()
    sigma, u = power_iteration(matrix, stored.value, steps=1 if moves else 0)
    if moves:
        stored.value = u
    return kernel / sigma


def _unit(x: Array, eps: float) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x), eps)
