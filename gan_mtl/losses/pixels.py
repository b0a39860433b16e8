r"""Discriminators that judge every pixel beside the image, as a U-Net does.

Their outputs are one row per example, the image's logit first and then those of its pixels, row by
row: shape [n, 1 + h w], as `nets.joined_logits` makes them.

Reference:
    Schönfeld, Schiele, Khoreva, "A U-Net Based Discriminator for Generative Adversarial Networks",
    CVPR 2020.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gan_mtl import draws
from gan_mtl.losses._inputs import rows_of, same_shape
from gan_mtl.losses.adversarial import AdversarialLoss
from gan_mtl.types import Context

Outputs = Float[Array, "n 1+p"]


def per_pixel(pair: AdversarialLoss, weight: float = 1.0) -> AdversarialLoss:
    r"""A loss on the image's logit and, by its mean over pixels, on every pixel's.

    Either player: :math:`L(t) + w \frac{1}{h w} \sum_{ij} L(t_{ij})` (equations 3 to 5).

    Args:
        pair: a loss without batch means, on one logit per example.
        weight: w of the pixels; 1 in the paper.

    Raises:
        ValueError: for a pair with batch means, or outputs that are not [n, 1 + h w].
    """
    if pair.batch_statistic or pair.reads != "logits":
        raise ValueError(
            "per_pixel: the pair must be a function of one logit per example; one with batch means "
            "has no meaning by pixel: take losses.non_saturating, hinge, ..."
        )

    def both(player):
        def loss(real_outputs: Outputs, fake_outputs: Outputs) -> Float[Array, " n"]:
            real, fake = (
                rows_of("real_outputs", real_outputs),
                rows_of("fake_outputs", fake_outputs),
            )
            same_shape(real_outputs=real, fake_outputs=fake)
            pixels = player(real[:, 1:].reshape(-1), fake[:, 1:].reshape(-1))
            return player(real[:, 0], fake[:, 0]) + weight * pixels.reshape(len(real), -1).mean(1)

        return loss

    return AdversarialLoss(both(pair.disc), both(pair.gen), reads="pixels")


def cut_mix_mask(n: int, size: tuple[int, int], context: Context) -> Bool[Array, "n h w"]:
    """Boxes: True where the first image shows, in or (half of the time) outside of a box.

    The box has the image's proportions and a share of its area that is uniform in (0, 1); its
    middle is any pixel, and what lies beyond the border is cut off.

    Args:
        n: number of masks; the draws belong to the global examples.
        size: height and width.
        context: of the draws.
    """
    side = jnp.sqrt(draws.uniform(n, (), context.fold("area")))
    inside = []
    for axis, length in enumerate(size):
        middle = draws.integers(n, length, context.fold(f"middle {axis}"))
        half = (side * length).astype(jnp.int32)[:, None] // 2
        apart = jnp.arange(length)[None] - middle[:, None]
        inside.append((apart >= -half) & (apart < half))
    box = inside[0][:, :, None] & inside[1][:, None, :]
    swapped = draws.integers(n, 2, context.fold("side")) == 1
    return box ^ swapped[:, None, None]


def cut_mix(
    mask: Bool[Array, "n h w"], first: Float[Array, "n h w c"], second: Float[Array, "n h w c"]
) -> Float[Array, "n h w c"]:
    """`first` where the mask is True, `second` elsewhere."""
    return jnp.where(mask[..., None], first, second)


def cut_mix_consistency(
    mixed_outputs: Outputs,
    mask: Bool[Array, "n h w"],
    first_outputs: Outputs,
    second_outputs: Outputs,
) -> Float[Array, " n"]:
    r"""The pixels' logits of a mixed image are to be the mixed logits: mean squared difference.

    Equation 7, with the mean over pixels.

    Args:
        mixed_outputs: of `cut_mix(mask, first, second)`.
        mask: as there; as many pixels as the outputs have.
        first_outputs, second_outputs: of the two images.
    """
    rows = {
        "mixed_outputs": rows_of("mixed_outputs", mixed_outputs),
        "first_outputs": rows_of("first_outputs", first_outputs),
        "second_outputs": rows_of("second_outputs", second_outputs),
    }
    same_shape(**rows)
    mixed, first, second = (x[:, 1:] for x in rows.values())
    shown = mask.reshape(len(mask), -1)
    if shown.shape != mixed.shape:
        raise ValueError(
            f"mask: shape {mask.shape} has not one place for each of {mixed.shape[1]} pixels' "
            "logits; give outputs [n, 1 + h w] of images of the mask's size"
        )
    return jnp.square(mixed - jnp.where(shown, first, second)).mean(axis=1)
