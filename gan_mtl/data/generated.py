"""Points in the plane with known modes, for seeing whether a generator covers them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32

from gan_mtl.data import order
from gan_mtl.data.arrays import Split


def ring(n: int, seed: int, modes: int = 8, radius: float = 2.0, std: float = 0.02) -> Split:
    """Gaussians at equal distances on a circle, as in unrolled GANs (Metz et al., ICLR 2017).

    Args:
        n: how many points; mode i % modes is that of point i, so that modes have equal counts.
        seed: of the draw.
        modes: how many Gaussians.
        radius: of the circle.
        std: of each Gaussian, per axis.

    Returns:
        A split whose `images` are the points, float32 [n, 2] (`stream` passes them unscaled), and
        whose `labels` are the modes.
    """
    angle = 2 * np.pi * np.arange(modes) / modes
    return _around(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), n, seed, std)


def grid(n: int, seed: int, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Split:
    """`side` squared Gaussians on a square grid about 0, as in VEEGAN and PacGAN; see `ring`."""
    axis = spacing * (np.arange(side) - (side - 1) / 2)
    return _around(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), n, seed, std)


def _around(centres: np.ndarray, n: int, seed: int, std: float) -> Split:
    mode: Int32[np.ndarray, " n"] = (np.arange(n) % len(centres)).astype(np.int32)
    u = (order.words(2 * n, seed, "points").reshape(n, 2) >> np.uint64(11)) * 2.0**-53
    distance = np.sqrt(-2 * np.log1p(-u[:, 0]))  # Box and Muller
    angle = 2 * np.pi * u[:, 1]
    noise = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points: Float32[np.ndarray, "n 2"] = (centres[mode] + std * noise).astype(np.float32)
    return Split(points, mode)
