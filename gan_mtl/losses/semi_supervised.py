r"""Semi-supervised GAN: the classifier's K logits are the discriminator.

The (K+1)-th logit, "fake", is fixed at 0. With :math:`Z(x) = \log\sum_k e^{l_k(x)}` the probability
of being real is :math:`\sigma(Z)`, and the class, given that it is real, the
softmax of the K logits.

Reference:
    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 5 (losses) and
    3.1 (feature matching); Dai et al., "Good Semi-supervised Learning That Requires a Bad GAN",
    NeurIPS 2017 (entropy and pull-away terms).
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax.nn import log_softmax, logsumexp, softplus
from jaxtyping import Array, Float, Int

from gan_mtl.losses._inputs import rows_of
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.types import devices


def real_logit(logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Z, the log-sum-exp of the K class logits: the discriminator's logit of "real"."""
    return logsumexp(rows_of("logits", logits), axis=1)


def supervised(
    logits: Float[Array, "n k"], labels: Int[Array, " n"], label_smoothing: float = 0.0
) -> Float[Array, " n"]:
    """Cross-entropy of the class given that the image is real; 0 where the label is -1."""
    return cross_entropy(logits, labels, label_smoothing)


def real(logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    r"""Loss of a real image, :math:`-\log\sigma(Z) = \mathrm{softplus}(Z) - Z`.

    Written as softplus(-Z), which is the same without the cancellation.
    """
    return softplus(-real_logit(logits))


def fake(logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    r"""Loss of a generated image, :math:`-\log(1 - \sigma(Z)) = \mathrm{softplus}(Z)`."""
    return softplus(real_logit(logits))


def entropy(logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Entropy of the class distribution in nats: low where the classifier is sure."""
    log_p = log_softmax(rows_of("logits", logits))
    return -(jnp.exp(log_p) * log_p).sum(axis=1)


def _mean(values: Array, axis_name: str | None) -> Array:
    return values if axis_name is None else jax.lax.pmean(values, axis_name)


def feature_matching(
    real_features: Float[Array, "n d"],
    fake_features: Float[Array, "m d"],
    axis_name: str | None = None,
    *,
    norm: Literal["l2", "l1"] = "l2",
) -> Float[Array, ""]:
    """Distance of the two batch means of features: what the generator descends.

    A batch statistic: a scalar, equal on every device, with the batch means taken over the devices
    first. The *mean* over the d features of squared ("l2") or absolute ("l1") differences.

    Args:
        real_features: shape [n, d], hidden activations of real images.
        fake_features: shape [m, d]; m may differ from n.
        axis_name: the pmap axis; None under jit.
        norm: Salimans' text has the squared distance, his MNIST code too, later codes the absolute.
    """
    real_features = rows_of("real_features", real_features)
    fake_features = rows_of("fake_features", fake_features)
    if real_features.shape[1] != fake_features.shape[1]:
        raise ValueError(
            "real_features and fake_features: widths must be equal, got "
            f"{real_features.shape[1]} and {fake_features.shape[1]}; take the same layer of both"
        )
    if norm not in ("l1", "l2"):
        raise ValueError(f"norm: expected 'l1' or 'l2', got {norm!r}")
    means = real_features.mean(axis=0), fake_features.mean(axis=0)
    difference = _mean(means[0] - means[1], axis_name)
    return (jnp.square(difference) if norm == "l2" else jnp.abs(difference)).mean()


def pull_away(features: Float[Array, "n d"], axis_name: str | None = None) -> Float[Array, ""]:
    r"""Pull-away term: the mean squared cosine over all pairs of different examples.

    A batch statistic in [0, 1] that holds generated examples apart. The sum over pairs is the
    squared Frobenius norm of the d x d moment matrix of the normalised features less the pairs (i,
    i), so devices only have to average that matrix.

    Args:
        features: shape [n, d], n at least 2.
        axis_name: the pmap axis; None under jit.

    Reference:
        Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", ICLR 2017; used for the
        generator's entropy by Dai et al. 2017.
    """
    features = rows_of("features", features)
    n = features.shape[0] * devices(axis_name)
    if n < 2:
        raise ValueError(f"features: expected at least two examples, got {n}")
    squares = jnp.square(features).sum(axis=1, keepdims=True)
    unit = features * jax.lax.rsqrt(squares + 1e-12)
    moments = _mean(unit.T @ unit / unit.shape[0], axis_name)
    itself = _mean(jnp.square(jnp.square(unit).sum(axis=1)).mean(), axis_name)
    return (n * jnp.square(moments).sum() - itself) / (n - 1)
