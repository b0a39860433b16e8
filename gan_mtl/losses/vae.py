r"""Variational autoencoders: what a code costs, what an image costs given its code; in nats.

Every value is of one example, *summed* over its pixels or latents and never averaged, so that

.. math:: -\mathrm{ELBO}(x) = -\log p(x \mid z) + \beta\, \mathrm{KL}(q(z \mid x) \| p(z))

weighs both as the bound does with beta = 1. A mean over pixels in the first term and not in the
second is a beta-VAE with beta the number of pixels. Normals are given by mean and log variance; the
prior is the standard normal.

Reference:
    Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, appendix B and C;
    Higgins et al., "beta-VAE", ICLR 2017; Burda, Grosse & Salakhutdinov, "Importance Weighted
    Autoencoders", ICLR 2016; Rybkin, Daniilidis & Levine, "Simple and Effective VAE Training with
    Calibrated Decoders", ICML 2021 (sigma-VAE).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.nn import softplus
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of, same_shape, wide

LOG_2PI = math.log(2 * math.pi)
LEAST_VARIANCE = 1e-8  # of `optimal_gaussian_nll`, where a reconstruction is exact


def _summed(values: Float[Array, " n *dims"]) -> Float[Array, " n"]:
    return values.sum(axis=tuple(range(1, values.ndim)))


def _batch(name: str, values: Array) -> Float[Array, " n *dims"]:
    values = wide(name, values)
    if values.ndim == 0:
        raise ValueError(f"{name}: expected a batch of shape [n, ...], got a scalar")
    return values


def kl_to_standard_normal(
    mean: Float[Array, "n d"], log_variance: Float[Array, "n d"]
) -> Float[Array, " n"]:
    r""":math:`\mathrm{KL}(N(\mu, \sigma^2) \| N(0, 1))`, summed over the d latents.

    :math:`\tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2)`; 0 or more.

    Example:
        >>> kl_to_standard_normal(jnp.array([[1.0, 0.0]]), jnp.zeros((1, 2)))
        Array([0.5], dtype=float32)
    """
    mean, log_variance = rows_of("mean", mean), rows_of("log_variance", log_variance)
    same_shape(mean=mean, log_variance=log_variance)
    return 0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance).sum(axis=1)


def normal_nll(
    values: Float[Array, " n *dims"],
    mean: Float[Array, " n *dims"],
    log_variance: Float[Array, " n *dims"],
) -> Float[Array, " n"]:
    r""":math:`-\log N(x; \mu, \sigma^2)` with a variance of every entry, summed over entries."""
    values, mean = _batch("values", values), _batch("mean", mean)
    log_variance = _batch("log_variance", log_variance)
    same_shape(values=values, mean=mean, log_variance=log_variance)
    squares = jnp.square(values - mean) * jnp.exp(-log_variance)
    return 0.5 * _summed(LOG_2PI + log_variance + squares)


def bernoulli_nll(
    logits: Float[Array, " n *dims"], targets: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    r""":math:`\sum_j \mathrm{softplus}(l_j) - t_j l_j`: the cross-entropy of binary pixels.

    Args:
        logits: l, shape [n, ...].
        targets: t in [0, 1], the same shape. Grey values are allowed, as is usual; the value is
            then no log-likelihood of anything, and its minimum is the pixels' entropy.

    Returns:
        One value per example; NaN for a target outside [0, 1].

    Example:
        >>> bernoulli_nll(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]]))
        Array([1.3862944], dtype=float32)
    """
    logits, targets = _batch("logits", logits), _batch("targets", targets)
    same_shape(logits=logits, targets=targets)
    good = (targets >= 0) & (targets <= 1)
    return _summed(jnp.where(good, softplus(logits) - targets * logits, jnp.nan))


def gaussian_nll(
    mean: Float[Array, " n *dims"],
    targets: Float[Array, " n *dims"],
    log_sigma: Float[Array, ""] | float = 0.0,
) -> Float[Array, " n"]:
    r""":math:`\sum_j \tfrac12 \log 2\pi + \log\sigma + (x_j - \mu_j)^2 / 2\sigma^2`.

    A density, so that the value depends on the unit of the pixels, and may be negative.

    Args:
        mean: mu, shape [n, ...].
        targets: x, the same shape.
        log_sigma: one for all entries; learned with the decoder it is sigma-VAE, and makes beta
            needless.

    Example:
        >>> gaussian_nll(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
        Array([2.337877], dtype=float32)
    """
    mean, targets = _batch("mean", mean), _batch("targets", targets)
    same_shape(mean=mean, targets=targets)
    log_sigma = jnp.asarray(log_sigma, mean.dtype)
    if log_sigma.ndim:
        raise ValueError(
            f"log_sigma: expected one number for all entries, got shape {log_sigma.shape}; "
            "a variance of every entry is normal_nll(targets, mean, log_variance)"
        )
    size = mean.size // mean.shape[0]
    squares = _summed(jnp.square(targets - mean))
    return size * (0.5 * LOG_2PI + log_sigma) + 0.5 * squares * jnp.exp(-2 * log_sigma)


def optimal_gaussian_nll(
    mean: Float[Array, " n *dims"], targets: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    r"""`gaussian_nll` at the best sigma of each example, :math:`\sigma^2 = \overline{(x - \mu)^2}`.

    :math:`\tfrac{D}{2} (1 + \log 2\pi\sigma^2)`, the per-image variant of optimal sigma-VAE. Its
    gradient is that of the squared error over sigma^2. A sigma^2 below 1e-8 counts as 1e-8.

    Example:
        >>> optimal_gaussian_nll(jnp.zeros((1, 2)), jnp.array([[1.0, -1.0]]))
        Array([2.837877], dtype=float32)
    """
    mean, targets = _batch("mean", mean), _batch("targets", targets)
    same_shape(mean=mean, targets=targets)
    size = mean.size // mean.shape[0]
    variance = _summed(jnp.square(targets - mean)) / size
    return 0.5 * size * (1 + LOG_2PI + jnp.log(jnp.maximum(variance, LEAST_VARIANCE)))


def importance_bound(log_weights: Float[Array, "n k"]) -> Float[Array, " n"]:
    r"""The importance-weighted bound as a loss, :math:`-\log \tfrac1k \sum_i e^{w_i}`, in nats.

    With :math:`w_i = \log p(x, z_i) - \log q(z_i \mid x)` and k independent :math:`z_i` of q, its
    expectation falls with k, from -ELBO at k = 1 to -log p(x). Numbers of different k are not to be
    compared: print k.

    Args:
        log_weights: w, shape [n, k].

    Example:
        >>> importance_bound(jnp.log(jnp.array([[1.0, 3.0]])))
        Array([-0.6931472], dtype=float32)
    """
    log_weights = rows_of("log_weights", log_weights)
    return math.log(log_weights.shape[1]) - jax.nn.logsumexp(log_weights, axis=1)
