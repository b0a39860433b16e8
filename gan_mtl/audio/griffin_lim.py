r"""A signal with given magnitudes: Griffin & Lim's iteration, and its fast variant.

With P the projection of a spectrum on those that a signal has (inverse, then forward transform) and
S the magnitudes,

.. math:: t_n = P(S\, c_{n-1} / |c_{n-1}|), \qquad c_n = t_n + \alpha\,(t_n - t_{n-1})

alpha = 0 is Griffin & Lim (1984), whose error never grows; 0.99 is Perraudin et al.'s choice and
librosa's, usually closer after as many iterations, though its error may rise on the way.
`librosa.griffinlim` is the same with :math:`t_n - \frac{\alpha}{1 + \alpha} t_{n-1}`, which has the
same phase.

Reference:
    Perraudin, Balazs & Sondergaard, "A Fast Griffin-Lim Algorithm", WASPAA 2013.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_mtl.audio import spectra


def griffin_lim(
    magnitude: Float[Array, " *b k m"],
    *,
    fft: int,
    hop: int,
    window: Float[np.ndarray, " w"] | None = None,
    pad: int = 0,
    length: int | None = None,
    iterations: int = 32,
    momentum: float = 0.99,
    phase: Float[Array, " *b k m"] | None = None,
) -> Float[Array, " *b n"]:
    """Signals whose transform has about these magnitudes. May be traced.

    Compiled, one second at 8 kHz with 32 iterations takes 16 to 25 ms of one CPU core.

    Args:
        magnitude: non-negative, shape [..., fft // 2 + 1, m].
        fft, hop, window, pad, length: as of `spectra.istft`.
        iterations: a fixed number; 0 only puts the first phases in.
        momentum: alpha, in [0, 1).
        phase: the first phases in radians, such as uniform draws from [0, 2 pi); None is 0.

    Raises:
        ValueError: for a momentum, a shape or sizes that mean nothing.
    """
    magnitude = jnp.asarray(spectra.real("magnitude", magnitude))
    if magnitude.ndim < 2 or magnitude.shape[-2] != fft // 2 + 1:
        raise ValueError(
            f"magnitude: expected shape [..., {fft // 2 + 1}, m] for fft={fft}, got "
            f"{magnitude.shape}"
        )
    if not 0 <= momentum < 1 or iterations < 0:
        raise ValueError(
            f"momentum={momentum}, iterations={iterations}: give a momentum in [0, 1) and 0 "
            "iterations or more"
        )
    window = spectra.checked_window(fft, hop, window, pad)
    first = jnp.zeros_like(magnitude) if phase is None else jnp.asarray(phase, magnitude.dtype)
    if first.shape != magnitude.shape:
        raise ValueError(f"phase: expected shape {magnitude.shape}, got {first.shape}")
    target, first = magnitude.swapaxes(-1, -2), first.swapaxes(-1, -2)

    covered = fft + (target.shape[-2] - 1) * hop
    end = covered - pad if length is None else min(pad + length, covered)
    inside = jnp.zeros((1,) * (target.ndim - 2) + (covered,), target.dtype)
    inside = inside.at[..., pad:end].set(1)  # the padding is known to be silent

    def signal(unit: Array) -> Array:
        return spectra.inverse(target * unit, window, fft, hop) * inside

    def body(_: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        old, unit = carry
        new = spectra.transform(signal(unit), window, fft, hop)
        moved = new + momentum * (new - old)
        return new, _unit(moved)

    start = jax.lax.complex(jnp.cos(first), jnp.sin(first))
    _, unit = jax.lax.fori_loop(0, iterations, body, (jnp.zeros_like(start), start))
    return spectra.unpadded(signal(unit), pad, length)


def spectral_convergence(
    magnitude: Float[Array, " *b k m"], wanted: Float[Array, " *b k m"]
) -> Float[Array, " *b"]:
    """How far magnitudes are from those wanted: the norm of the difference over that of `wanted`.

    0 is equal; 1 is what silence gets.
    """

    def norm(x: Array) -> Array:
        return jnp.sqrt(jnp.square(x).sum(axis=(-2, -1)))

    return norm(magnitude - wanted) / norm(wanted)


def _unit(z: Array) -> Array:
    """z / |z|, and 0 where z is 0."""
    squares = jnp.square(z.real) + jnp.square(z.imag)
    return z * jnp.where(squares > 0, jax.lax.rsqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
