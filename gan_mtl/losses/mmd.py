r"""Maximum mean discrepancy between two domains' features, under several Gaussian kernels at once.

Reference:
    Long, Cao, Wang, Jordan, "Learning Transferable Features with Deep Adaptation Networks", ICML
    2015 (DAN); Long, Zhu, Wang, Jordan, "Deep Transfer Learning with Joint Adaptation Networks",
    ICML 2017 (JAN).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import rows_of, same_width


class Gaussians(NamedTuple):
    r"""The mean of Gaussian kernels :math:`\exp(-\lVert x - y \rVert^2 / 2 \sigma_u^2)`.

    widths: :math:`\sigma_u^2`, *squared* widths, each above 0.
    relative: whether these are times the mean squared distance between different examples of the
        two batches together (a constant under differentiation).
    """

    widths: tuple[float, ...]
    relative: bool = True


DOUBLING = Gaussians((0.125, 0.25, 0.5, 1.0, 2.0))
"""Five kernels around the mean distance, each width twice the last, as ports of DAN have them."""

DSN_WIDTHS = Gaussians(
    (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 5, 10, 15, 20, 25, 30, 35, 100, 1e3, 1e4, 1e5, 1e6),
    relative=False,
)
"""The 19 kernels in the code of domain separation networks, which *sums* them."""


def multi_kernel_mmd(
    source: Float[Array, "n d"],
    target: Float[Array, "m d"],
    axis_name: str | None = None,
    *,
    kernel: Gaussians = DOUBLING,
    unbiased: bool = False,
) -> Float[Array, ""]:
    r"""Squared MMD: :math:`E\,k(s, s') + E\,k(t, t') - 2\,E\,k(s, t)`.

    A batch statistic: a scalar, equal on every device, which gathers the features of all devices.
    DAN learns the weights of the kernels and takes an estimate in linear time; here the weights are
    equal, and all pairs enter.

    Args:
        source, target: features, of one width.
        axis_name: the pmap axis; None under jit.
        kernel: the widths.
        unbiased: leave out the pairs (i, i): a value that may be negative; otherwise at least 0.
    """
    return joint_mmd((source,), (target,), axis_name, kernels=(kernel,), unbiased=unbiased)


def joint_mmd(
    sources: Sequence[Float[Array, "n ..."]],
    targets: Sequence[Float[Array, "m ..."]],
    axis_name: str | None = None,
    *,
    kernels: tuple[Gaussians, ...] | None = None,
    unbiased: bool = False,
) -> Float[Array, ""]:
    r"""JAN's joint MMD: the squared MMD under the product of every layer's kernel.

    :math:`k(x, y) = \prod_\ell k_\ell(x_\ell, y_\ell)`: what the layers say *together*, such as
    features and class probabilities, has the same law in both domains.

    Args:
        sources, targets: the layers, [n, d_1], [n, d_2], ... and [m, d_1], [m, d_2], ...
        axis_name: the pmap axis; None under jit.
        kernels: one a layer; None is `DOUBLING` for all.
        unbiased: as of `multi_kernel_mmd`.
    """
    kernels = (DOUBLING,) * len(sources) if kernels is None else kernels
    if not len(sources) == len(targets) == len(kernels) or not kernels:
        raise ValueError(
            "joint_mmd: expected as many layers of both domains and kernels, at least one; got "
            f"{len(sources)}, {len(targets)} and {len(kernels)}"
        )
    grams, counts = [], set()
    for i, (s, t, kernel) in enumerate(zip(sources, targets, kernels, strict=True)):
        names = ("source", "target") if len(kernels) == 1 else (f"sources[{i}]", f"targets[{i}]")
        s, t = rows_of(names[0], s), rows_of(names[1], t)
        same_width(**{names[0]: s, names[1]: t})
        if axis_name is not None:
            s, t = (jax.lax.all_gather(x, axis_name, tiled=True) for x in (s, t))
        grams.append(_gram(jnp.concatenate([s, t]), kernel))
        counts.add((s.shape[0], t.shape[0]))
    if len(counts) > 1:
        raise ValueError(f"joint_mmd: layers of different numbers of examples, {sorted(counts)}")
    n, m = counts.pop()
    return _estimate(functools.reduce(jnp.multiply, grams), n, m, unbiased)


def _gram(pooled: Float[Array, "p d"], kernel: Gaussians) -> Float[Array, "p p"]:
    """The kernel between all pairs of examples of both domains."""
    if not kernel.widths or min(kernel.widths) <= 0:
        raise ValueError(f"kernel: expected squared widths above 0, got {kernel.widths}")
    p = pooled.shape[0]
    pooled = pooled - pooled.mean(axis=0)[None]  # distances stay, rounding shrinks
    squares = jnp.square(pooled).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * pooled @ pooled.T
    distances = jnp.maximum(distances, 0) * (1 - jnp.eye(p, dtype=pooled.dtype))
    scale = 1.0
    if kernel.relative:
        mean = jax.lax.stop_gradient(distances.sum() / (p * (p - 1)))
        scale = jnp.where(mean > 0, mean, 1.0)  # all examples equal: any width is right
    kernels = [jnp.exp(-distances / (2 * width * scale)) for width in kernel.widths]
    return jnp.stack(kernels).mean(axis=0)


def _estimate(gram: Float[Array, "p p"], n: int, m: int, unbiased: bool) -> Float[Array, ""]:
    sides = [np.repeat(side, (n, m)) for side in ((1.0, 0.0), (0.0, 1.0))]
    source, target = (jnp.asarray(side, gram.dtype) for side in sides)
    within = [side @ gram @ side for side in (source, target)]
    pairs = [n * n, m * m]
    if unbiased:
        if min(n, m) < 2:
            raise ValueError(
                f"unbiased: expected at least two examples a domain, got {n} and {m}; "
                "use unbiased=False"
            )
        diagonal = jnp.diagonal(gram)
        within = [
            x - (diagonal * side).sum() for x, side in zip(within, (source, target), strict=True)
        ]
        pairs = [n * (n - 1), m * (m - 1)]
    return within[0] / pairs[0] + within[1] / pairs[1] - 2 * (source @ gram @ target) / (n * m)
