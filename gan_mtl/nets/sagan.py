"""SAGAN: residual networks with self-attention, both players spectrally normalised.

Zhang, Goodfellow, Metaxas & Odena, "Self-Attention Generative Adversarial Networks", ICML 2019,
arXiv 1805.08318. Published for 128x128 pixels; layers, sizes and initialisers are those of the
authors' code (brain-research/self-attention-gan: `generator_test`, `discriminator_test`), where
attention stands on the maps of 32x32 places. The head is `ProjectionHead(num_classes,
spectral=True)`; Adam's rates are 1e-4 for the generator and 4e-4 for the discriminator, beta1 0.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn

from gan_mtl.nets.layers import glorot
from gan_mtl.nets.resnet_gan import ResNetGenerator, ResNetTrunk, sngan_generator, sngan_trunk

# Size: blocks before the attention of the generator, and of the trunk.
_BLOCKS = {32: (2, 2), 48: (2, 1), 64: (3, 1), 128: (3, 2)}


def sagan_generator(
    size: int,
    channels: int = 3,
    *,
    width: int | None = None,
    conditional: bool = True,
    dtype: Any = None,
) -> ResNetGenerator:
    """The generator for square images; its condition are one-hot labels.

    Attention stands on maps of 32x32 places (128 and 64 pixels), 24x24 (48), 16x16 (32).

    Args:
        size: 32, 48, 64 or 128 pixels.
        channels: of the images.
        width: channels of the last block; None is 256 for 32 pixels and 64 for the others.
        conditional: whether the labels give the norms' gains and biases, as published; without,
            the norms are plain.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`.
    """
    plain = sngan_generator(size, channels, width=width, conditional=conditional, dtype=dtype)
    norms = (("spectral", False), ("gain_init", nn.initializers.zeros))
    return plain.clone(
        spectral=True,
        kernel_init=glorot,
        attention=_BLOCKS[size][0],
        norm_keywords=norms if conditional else (),
    )


def sagan_trunk(size: int, *, width: int | None = None, dtype: Any = None) -> ResNetTrunk:
    """The discriminator's trunk for square images.

    Attention stands on maps of 32x32 places (128 and 64 pixels), 24x24 (48), 8x8 (32, where the
    library mimicry has it).

    Args:
        size: 32, 48, 64 or 128 pixels.
        width: channels of the first block; None is 128 for 32 pixels and 64 for the others.
        dtype: compute dtype.

    Raises:
        ValueError: another `size`.
    """
    plain = sngan_trunk(size, width=width, dtype=dtype)
    return plain.clone(wide=True, kernel_init=glorot, attention=_BLOCKS[size][1])
