r"""The loss of depth maps: an error in log depth of which a part of the scale is forgiven.

Eigen, Puhrsch & Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep
Network", NeurIPS 2014, arXiv 1406.2283.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import wide
from gan_mtl.types import Loss


def scale_invariant_log(
    log_depths: Float[Array, "n h w"], depths: Float[Array, "n h w"], lam: float = 0.5
) -> Loss:
    r""":math:`\frac{1}{m} \sum d^2 - \frac{\lambda}{m^2} (\sum d)^2` over an image's known pixels.

    m is their number, d the difference of the logarithms. With lambda = 0 this is the mean square
    of d, with 1 its variance, which no factor common to all predicted depths changes; the paper
    trains with 0.5.

    Args:
        log_depths: natural logarithms of the predicted depths, as a head gives them.
        depths: true depths, any unit; a pixel is known where its depth is finite and above 0.
        lam: lambda, in [0, 1].

    Returns:
        One value per image, and a mask that leaves out images without a known pixel.

    Example:
        >>> scale_invariant_log(jnp.array([[[2.0, 0.0]]]), jnp.ones((1, 1, 2)))
        Loss(values=Array([1.5], dtype=float32), mask=Array([1.], dtype=float32))
    """
    log_depths = wide("log_depths", log_depths)
    depths = jnp.asarray(depths)
    if log_depths.ndim != 3 or depths.shape != log_depths.shape:
        raise ValueError(
            f"depths of shape {depths.shape} for log_depths of shape {log_depths.shape}: expected "
            "one depth a pixel, both [n, h, w]; of a single channel take [..., 0]"
        )
    if not 0 <= lam <= 1:
        raise ValueError(f"lam: expected a number from 0 to 1, got {lam}")
    known = jnp.isfinite(depths) & (depths > 0)
    true = jnp.log(jnp.where(known, depths, 1.0).astype(log_depths.dtype))
    d = jnp.where(known, log_depths - true, 0.0)
    count = known.sum(axis=(1, 2)).astype(d.dtype)
    m = jnp.maximum(count, 1.0)
    values = jnp.square(d).sum(axis=(1, 2)) / m - lam * jnp.square(d.sum(axis=(1, 2)) / m)
    return Loss(values, (count > 0).astype(d.dtype))
