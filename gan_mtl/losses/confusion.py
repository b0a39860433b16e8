r"""Domain confusion: features that leave the domain classifier undecided.

Reference:
    Tzeng, Hoffman, Darrell, Saenko, "Simultaneous Deep Transfer Across Domains and Tasks", ICCV
    2015, arXiv 1510.02192.
"""

from __future__ import annotations

from jax.nn import softplus
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import logits_of


def domain_confusion(logits: Float[Array, " n"]) -> Float[Array, " n"]:
    r"""Cross-entropy of the domain classifier to the uniform distribution over two domains.

    :math:`-\frac12 \log\sigma(l) - \frac12 \log(1 - \sigma(l)) = \mathrm{softplus}(l) - l / 2`, of
    examples of both domains: least, log 2, at a logit of 0. Unlike a reversed gradient
    it does not ask for domains that are taken for each other.

    Args:
        logits: of "source".
    """
    logits = logits_of("logits", logits)
    return softplus(logits) - logits / 2
