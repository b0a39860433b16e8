r"""How far two classifiers disagree about an example.

Reference:
    Saito, Watanabe, Ushiku, Harada, "Maximum Classifier Discrepancy for Unsupervised Domain
    Adaptation", CVPR 2018, arXiv 1712.02560.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of, same_shape


def classifier_discrepancy(
    logits_1: Float[Array, "n k"], logits_2: Float[Array, "n k"]
) -> Float[Array, " n"]:
    r""":math:`d(p_1, p_2) = \frac{1}{K} \sum_k |p_{1k} - p_{2k}|` of the softmax of both.

    In [0, 2 / K], a value per example; where the two agree the derivative is 0.

    Example:
        >>> classifier_discrepancy(jnp.array([[99.0, 0.0]]), jnp.array([[0.0, 99.0]]))
        Array([1.], dtype=float32)
    """
    logits_1, logits_2 = rows_of("logits_1", logits_1), rows_of("logits_2", logits_2)
    same_shape(logits_1=logits_1, logits_2=logits_2)
    return jnp.abs(jax.nn.softmax(logits_1) - jax.nn.softmax(logits_2)).mean(axis=1)
