r"""Margin disparity: how far an adversarial classifier can leave the main one on the target alone.

Reference:
    Zhang, Liu, Long, Jordan, "Bridging Theory and Algorithm for Domain Adaptation", ICML 2019,
    arXiv 1904.05801.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of, same_shape
from gan_mtl.losses.tasks import cross_entropy


def source_disparity(
    logits: Float[Array, "n k"], adversary: Float[Array, "n k"]
) -> Float[Array, " n"]:
    r""":math:`-\log \sigma_{h(x)}(f'(x))` with h(x) the class that f predicts.

    The adversary's cross-entropy to the main classifier's own predictions. The
    margin's factor gamma (:math:`\log \gamma` is the margin; 4 in most of the paper's experiments)
    is the caller's.

    Args:
        logits: of the main classifier f; only their largest is looked at, without a gradient.
        adversary: logits of f'.
    """
    predicted, adversary = _checked(logits, adversary)
    return cross_entropy(adversary, predicted)


def target_disparity(
    logits: Float[Array, "n k"], adversary: Float[Array, "n k"]
) -> Float[Array, " n"]:
    r""":math:`-\log(1 - \sigma_{h(x)}(f'(x)))`: small where the adversary says another class.

    f' descends this and gamma times `source_disparity`, and
    the features ascend both. Written as a difference of log-sums of exponentials, finite with a
    useful gradient at any logit.
    """
    predicted, adversary = _checked(logits, adversary)
    chosen = jax.nn.one_hot(predicted, adversary.shape[1], dtype=bool)
    others = logsumexp(jnp.where(chosen, -jnp.inf, adversary), axis=1)
    return logsumexp(adversary, axis=1) - others


def _checked(logits: Array, adversary: Array) -> tuple[Array, Array]:
    logits, adversary = rows_of("logits", logits), rows_of("adversary", adversary)
    same_shape(logits=logits, adversary=adversary)
    if logits.shape[1] < 2:
        raise ValueError(
            f"logits: a disparity needs two classes or more, shape [n, k]; got {logits.shape}"
        )
    return logits.argmax(axis=1), adversary
