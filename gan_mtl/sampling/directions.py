"""Directions of a latent space that change most of what a generator does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


class Directions(NamedTuple):
    """Principal components of activations, and what they are in the latent space.

    latent: shape [k, d]: adding row i to a latent moves the activations by one standard deviation
        along component i, as far as that is linear.
    components: shape [k, features], orthonormal; std: shape [k], falling; mean: shape [features].
    """

    latent: Float[np.ndarray, "k d"]
    components: Float[np.ndarray, "k features"]
    std: Float[np.ndarray, " k"]
    mean: Float[np.ndarray, " features"]


def latent_directions(
    activations: ArrayLike, k: int, latents: ArrayLike | None = None
) -> Directions:
    """GANSpace: principal components y = mean + V x of activations, regressed onto the latents.

    Of a StyleGAN `activations` are the w themselves, and the components are the directions. Of
    other generators they are those of an early layer, and `U = argmin sum |U x_j - z_j|^2` carries
    the components over to z. Signs are such that a component's largest entry is positive.

    Args:
        activations: shape [n, ...], flattened to [n, features]; n > k.
        k: how many.
        latents: z of the same samples, shape [n, d]; None if the activations are the latents.

    Raises:
        ValueError: a k that the activations do not have, or latents of another shape.

    Reference:
        Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020 (who take
        incremental PCA; here all at once).
    """
    y = np.asarray(activations, np.float64)
    y = y.reshape(len(y), -1)
    if not 1 <= k <= min(len(y) - 1, y.shape[1]):
        raise ValueError(
            f"k: expected 1 to {min(len(y) - 1, y.shape[1])} with activations {y.shape}, got {k}"
        )
    mean = y.mean(axis=0)
    _, values, right = np.linalg.svd(y - mean, full_matrices=False)
    largest = np.abs(right[:k]).argmax(axis=1)
    components = right[:k] * np.sign(right[np.arange(k), largest])[:, None]
    std = values[:k] / np.sqrt(len(y) - 1)
    if latents is None:
        return Directions(components * std[:, None], components, std, mean)
    z = np.asarray(latents, np.float64)
    if z.ndim != 2 or len(z) != len(y):
        raise ValueError(f"latents: expected shape [{len(y)}, d], got {z.shape}")
    regressed = np.linalg.lstsq((y - mean) @ components.T, z, rcond=None)[0]
    return Directions(regressed * std[:, None], components, std, mean)
