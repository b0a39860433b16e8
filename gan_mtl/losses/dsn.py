r"""The reconstruction loss of domain separation networks; their difference loss is `orthogonality`.

Reference:
    Bousmalis, Trigeorgis, Silberman, Krishnan, Erhan, "Domain Separation Networks", NeurIPS 2016,
    arXiv 1608.06019.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import same_shape, wide


def scale_invariant_mse(
    predictions: Float[Array, "n ..."], targets: Float[Array, "n ..."]
) -> Float[Array, " n"]:
    r""":math:`\frac1k \lVert x - \hat x \rVert^2 - \frac{1}{k^2} (1 \cdot (x - \hat x))^2`.

    Equation 4, with k the entries of an example: the variance of its errors. An intensity that is
    added to a whole example costs nothing, and a decoder is left free to miss it.
    """
    predictions, targets = wide("predictions", predictions), wide("targets", targets)
    same_shape(predictions=predictions, targets=targets)
    if predictions.ndim < 2:
        raise ValueError(f"predictions: expected a batch of shape [n, ...], got {targets.shape}")
    errors = (predictions - targets).reshape(predictions.shape[0], -1)
    return jnp.square(errors - errors.mean(axis=1, keepdims=True)).mean(axis=1)
