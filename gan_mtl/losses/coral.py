r"""Deep CORAL: the distance between the second moments of two domains' features.

Reference:
    Sun & Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV workshop
    2016, arXiv 1607.01719.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of, same_width
from gan_mtl.types import devices


def deep_coral(
    source: Float[Array, "n d"], target: Float[Array, "m d"], axis_name: str | None = None
) -> Float[Array, ""]:
    r"""The distance of covariances, :math:`\frac{1}{4 d^2} \lVert C_S - C_T \rVert_F^2`.

    A batch statistic: a scalar, at least 0, equal on every device. The covariances are the unbiased
    ones of equations 2 and 3, over n - 1 and m - 1; means do not enter. (One widely used port says
    the same, but adds the distance of means and takes the mean of squares instead of 1 / 4 d^2.)

    Args:
        source, target: features, of one width; n and m are at least 2 over all devices.
        axis_name: the pmap axis; None under jit.

    Example:
        >>> deep_coral(jnp.array([[-1.0], [1.0]]), jnp.array([[5.0], [5.0]]))
        Array(1., dtype=float32)
    """
    source, target = rows_of("source", source), rows_of("target", target)
    same_width(source=source, target=target)
    difference = _covariance("source", source, axis_name) - _covariance("target", target, axis_name)
    return jnp.square(difference).sum() / (4 * source.shape[1] ** 2)


def _covariance(name: str, features: Array, axis_name: str | None) -> Float[Array, "d d"]:
    local = features.shape[0]
    n = local * devices(axis_name)
    if n < 2:
        raise ValueError(f"{name}: a covariance takes at least two examples, got {n}")
    centred = features - _mean(features.mean(axis=0), axis_name)[None]
    return _mean(centred.T @ centred / local, axis_name) * (n / (n - 1))


def _mean(values: Array, axis_name: str | None) -> Array:
    return values if axis_name is None else jax.lax.pmean(values, axis_name)
