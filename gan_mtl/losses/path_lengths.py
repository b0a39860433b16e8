r"""Path length regularisation: steps in the latents of a style generator move images evenly."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from gan_mtl import draws
from gan_mtl.losses._inputs import wide
from gan_mtl.types import Context, batch_statistic

TINY = 1e-12  # inside the square root: sqrt has no finite derivative at 0

Synthesis = Callable[[Float[jax.Array, "n ..."]], Float[jax.Array, "n h w c"]]


class PathLengthState(NamedTuple):
    """a: the moving average of the path lengths, shape=(), dtype=float32."""

    a: Float[jax.Array, ""]


def path_length_init() -> PathLengthState:
    """The average at 0, where the original starts too."""
    return PathLengthState(jnp.zeros((), jnp.float32))


def path_lengths(
    synthesis: Synthesis, w: Float[jax.Array, " n *dims"], context: Context
) -> Float[jax.Array, " n"]:
    r""":math:`\lVert J_w^T y \rVert_2` per example: how far images move with w, in a random
    direction.

    Images are weighted with normal noise :math:`y \sim N(0, I)` divided by the root of the number
    of pixels, h times w. Where every layer has its own latent, the norm is taken within a layer and
    squares are averaged over layers.

    Args:
        synthesis: latents to images `[n, h, w, c]`; it must treat examples apart.
        w: shape [n, d], or [n, layers, d].
        context: the noise belongs to the global examples.
    """
    w = wide("w", w)
    if w.ndim not in (2, 3):
        raise ValueError(f"w: expected latents of shape [n, d] or [n, layers, d], got {w.shape}")
    images, pull = jax.vjp(synthesis, w)
    if images.ndim != 4 or images.shape[0] != w.shape[0]:
        raise ValueError(
            f"synthesis(w): expected one image per latent, shape [{w.shape[0]}, h, w, c], got "
            f"{images.shape}"
        )
    pixels = images.shape[1] * images.shape[2]
    y = draws.normal(images.shape[0], images.shape[1:], context.fold("path_length"))
    (gradient,) = pull((y / jnp.sqrt(float(pixels))).astype(images.dtype))
    squares = jnp.square(gradient).sum(axis=-1)
    return jnp.sqrt((squares if w.ndim == 2 else squares.mean(axis=1)) + TINY)


def path_length(
    synthesis: Synthesis,
    w: Float[jax.Array, " n *dims"],
    state: PathLengthState,
    context: Context,
    *,
    decay: float = 0.01,
) -> tuple[Float[jax.Array, " n"], PathLengthState]:
    r"""StyleGAN2's penalty :math:`(\lVert J_w^T y \rVert_2 - a)^2` of the generator.

    a is the moving average of the lengths, :math:`a \leftarrow a + \mathrm{decay}\,(E[\mathrm{
    length}] - a)`; the penalty is taken against the *new* a and its gradient goes through that, as
    in the original. a is therefore a batch statistic: its mean goes over devices, and gradient
    accumulation refuses it.

    The factor (2 in the original), the lazy interval (4, with the loss times 4) and the smaller
    batch (half of it) are the caller's.

    Args:
        synthesis: latents to images `[n, h, w, c]`, with the parameters closed over.
        w: shape [n, d], or [n, layers, d]; see `path_lengths`.
        state: as made by `path_length_init`.
        context: the noise belongs to the global examples; a's mean goes over `axis_name`.
        decay: in [0, 1], the weight of this batch in a.

    Returns:
        One non-negative value per example, and the state with the new a.

    Reference:
        Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020. Differs:
        1e-12 inside the square root; the authors' PyTorch code keeps one a per device.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay: expected a number in [0, 1], got {decay}")
    lengths = path_lengths(synthesis, w, context)
    mean = lengths.mean()
    if context.axis_name is not None:
        mean = jax.lax.pmean(mean, context.axis_name)
    a = batch_statistic("path_length", state.a + decay * (mean - state.a))
    after = PathLengthState(jax.lax.stop_gradient(a).astype(state.a.dtype))
    return jnp.square(lengths - a), after
