r"""InfoGAN: the generator's codes are to be read off its images.

The variational bound of the mutual information is :math:`E[\log q(c \mid G(z, c))] + H(c)`; the
entropy of the codes is a constant. What is *descended* is :math:`-\log q`, by the generator and by
the network q (which shares the discriminator's trunk) alike, one value per example: gradients flow
to the outputs of q. Several codes have a loss each; their sum, or a weighted one, is the caller's.

Reference:
    Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing
    Generative Adversarial Nets", NeurIPS 2016.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.losses._inputs import rows_of, same_shape
from gan_mtl.losses.tasks import cross_entropy


def categorical_code(logits: Float[Array, "n k"], codes: Int[Array, " n"]) -> Float[Array, " n"]:
    r"""One categorical code: :math:`-\log\,\mathrm{softmax}(\mathrm{logits})_c`, in nats.

    Args:
        logits: q's, shape [n, k].
        codes: the numbers 0 .. k - 1 that the images were generated with.

    Example:
        >>> categorical_code(jnp.zeros((1, 10)), jnp.array([3]))
        Array([2.3025851], dtype=float32)
    """
    return cross_entropy(logits, codes)


def continuous_code(
    mean: Float[Array, "n d"],
    codes: Float[Array, "n d"],
    log_variance: Float[Array, "n d"] | None = None,
) -> Float[Array, " n"]:
    r"""Continuous codes under a factored normal q: :math:`-\sum_j \log N(c_j; \mu_j, \sigma_j^2)`.

    In nats, :math:`\tfrac12 \log 2\pi + \log\sigma_j + (c_j - \mu_j)^2 / 2\sigma_j^2` summed over
    the d codes; below 0 where q is sharp and right, so a weighting that needs positive losses has
    to refuse it.

    Args:
        mean: mu, shape [n, d].
        codes: c, shape [n, d], that the images were generated with.
        log_variance: log sigma^2, shape [n, d]; None is a variance of one.

    Example:
        >>> continuous_code(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
        Array([2.337877], dtype=float32)
    """
    mean, codes = rows_of("mean", mean), rows_of("codes", codes)
    same_shape(mean=mean, codes=codes)
    squares = jnp.square(codes - mean)
    if log_variance is None:
        values = 0.5 * squares
    else:
        log_variance = rows_of("log_variance", log_variance)
        same_shape(mean=mean, log_variance=log_variance)
        values = 0.5 * (log_variance + squares * jnp.exp(-log_variance))
    return values.sum(axis=1) + 0.5 * math.log(2 * math.pi) * mean.shape[1]
