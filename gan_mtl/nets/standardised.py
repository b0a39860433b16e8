"""Inputs of mean 0 and variance 1, every example by itself: brightness and contrast are gone."""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array, Float

from gan_mtl.types import Context, Key, Network, PyTree

EPSILON = 1e-5  # beside the variance: an image of one colour becomes 0


def standardised(network: Network) -> Network:
    """The network on standardised images.

    Per example and channel, over height and width: the instance normalisation of inputs with which
    Shu, Bui, Narui, Ermon, "A DIRT-T Approach to Unsupervised Domain Adaptation", ICLR 2018,
    arXiv 1802.08735, have digits of several data sets look alike. It has no parameters.
    """

    def init(key: Key, images: Array, *others: Any) -> dict[str, PyTree]:
        return network.init(key, standardise(images), *others)

    def apply(
        variables: dict[str, PyTree], images: Array, *others: Any, context: Context
    ) -> tuple[Any, dict[str, PyTree]]:
        return network.apply(variables, standardise(images), *others, context=context)

    return Network(init, apply)


def standardise(images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Every channel of every image less its mean, divided by its standard deviation.

    Raises:
        ValueError: for other shapes.
    """
    if images.ndim != 4:
        raise ValueError(f"standardised: expected images [n, h, w, c], got shape {images.shape}")
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    variance = (centred**2).mean(axis=(1, 2), keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON)
