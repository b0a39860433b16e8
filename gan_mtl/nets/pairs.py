"""A discriminator of pairs of an image and a code, for BiGAN and ALI."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Activation, flatten, leaky_relu
from gan_mtl.nets.outputs import Head, KernelNorm
from gan_mtl.types import Context


class PairDiscriminator(nn.Module):
    """An image's features and a code side by side, then dense layers, to one logit.

    Attributes:
        trunk: images to features [n, ...], flattened.
        widths: of the hidden layers that see both; with none the two only add up.
        activation: after hidden layers.
        kernel_norm: of these layers: None, "weight" or "spectral".
        dtype: their compute dtype.
    """

    trunk: nn.Module
    widths: tuple[int, ...] = (128,)
    activation: Activation = leaky_relu
    kernel_norm: KernelNorm = None
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], codes: Float[Array, "n d"], *, context: Context
    ) -> Float[Array, " n"]:
        """Logits, shape [n]."""
        if codes.ndim != 2 or len(codes) != len(images):
            raise ValueError(
                f"PairDiscriminator: codes of shape {codes.shape} for images of shape "
                f"{images.shape}; expected one code [d] an image."
            )
        hidden = flatten(self.trunk(images, context=context))  # type: ignore[operator]
        head = Head(None, self.widths, self.activation, self.kernel_norm, dtype=self.dtype)
        both = jnp.concatenate([hidden, codes.astype(hidden.dtype)], axis=1)
        return head(both, context=context)
