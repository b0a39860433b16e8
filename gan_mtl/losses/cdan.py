r"""What a conditional domain discriminator sees, and how much an example of unsure class counts.

Reference:
    Long, Cao, Wang, Jordan, "Conditional Adversarial Domain Adaptation", NeurIPS 2018, arXiv
    1705.10667.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of
from gan_mtl.losses.semi_supervised import entropy

LARGEST = 4096  # of the product's width, above which the paper takes the random map


def multilinear_map(
    features: Float[Array, "n d"], probabilities: Float[Array, "n k"]
) -> Float[Array, "n dk"]:
    r"""The outer product :math:`f \otimes g` of every example, flattened: entry (i, c) at i k + c.

    Its mean over a domain holds the mean features of every class. The paper takes it up to a width
    d k of 4096, and `random_multilinear_map` above.
    """
    features, probabilities = _checked(features, probabilities)
    product = features[:, :, None] * probabilities[:, None, :]
    return product.reshape(features.shape[0], -1)


def random_multilinear_map(
    features: Float[Array, "n d"],
    probabilities: Float[Array, "n k"],
    r_f: Float[Array, "d D"],
    r_g: Float[Array, "k D"],
) -> Float[Array, "n D"]:
    r""":math:`\frac{1}{\sqrt D} (R_f f) \odot (R_g g)`, whose inner products estimate those of the
    multilinear map.

    Args:
        r_f, r_g: drawn once, standard normal entries, and never trained.
    """
    features, probabilities = _checked(features, probabilities)
    wanted = (features.shape[1], probabilities.shape[1])
    if (r_f.shape[0], r_g.shape[0]) != wanted or r_f.shape[1] != r_g.shape[1]:
        raise ValueError(
            f"r_f and r_g: expected shapes ({wanted[0]}, D) and ({wanted[1]}, D), got {r_f.shape} "
            f"and {r_g.shape}"
        )
    return (features @ r_f) * (probabilities @ r_g) / r_f.shape[1] ** 0.5


def entropy_weights(logits: Float[Array, "n k"]) -> Float[Array, " n"]:
    r""":math:`1 + e^{-H(g)}` of the class distribution, in (1, 2]: sure examples count more.

    The "+E" of CDAN+E. A weight is no objective: it passes no gradient (in the authors' code the
    entropy passes one, reversed). Where they are summed over a domain, weights are normalised by
    their sum there.
    """
    return 1 + jnp.exp(-entropy(jax.lax.stop_gradient(logits)))


def _checked(features: Array, probabilities: Array) -> tuple[Array, Array]:
    features, probabilities = rows_of("features", features), rows_of("probabilities", probabilities)
    if features.shape[0] != probabilities.shape[0]:
        raise ValueError(
            "features and probabilities: the same examples are needed, got "
            f"{features.shape[0]} and {probabilities.shape[0]} rows"
        )
    return features, probabilities
