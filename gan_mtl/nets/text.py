"""Character-level GANs: residual convolutions over the characters of a line.

Lines are pictures [n, length, letters, 1] with one white pixel a row (`data.text`); a generator
makes rows that are probabilities. As in the character model of Gulrajani et al., "Improved Training
of Wasserstein GANs", NeurIPS 2017: windows of 5 characters, pairs of convolutions whose sum, times
0.3, is added to their input, no normalisation.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, Dense, flatten
from gan_mtl.nets.mlp import with_condition
from gan_mtl.types import Context

WINDOW, SHARE = 5, 0.3


def _block(x: Array, width: int, dtype: Any, context: Context) -> Array:
    """x + 0.3 (two convolutions of x), [n, length, 1, width]; called inside a compact module."""
    y = x
    for _ in range(2):
        y = Conv(width, (WINDOW, 1), dtype=dtype)(nn.relu(y), context=context)
    return x + SHARE * y


class TextGenerator(nn.Module):
    """Latents (and a condition) to lines of probabilities.

    Attributes:
        length: characters of a line.
        letters: of the alphabet.
        width: channels; 512 in the paper.
        blocks: pairs of convolutions; 5 in the paper.
        dtype: compute dtype; probabilities are float32 or wider.
    """

    length: int
    letters: int
    width: int = 512
    blocks: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "n z"],
        condition: Float[Array, "n e"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, "n length letters 1"]:
        """Shape [n, length, letters, 1]; the rows of an example sum to 1."""
        x = with_condition(latents, condition)
        x = Dense(self.length * self.width, dtype=self.dtype)(x, context=context)
        x = x.reshape(x.shape[0], self.length, 1, self.width)
        for _ in range(self.blocks):
            x = _block(x, self.width, self.dtype, context)
        logits = Conv(self.letters, 1, dtype=self.dtype, name="out")(x, context=context)
        return jax.nn.softmax(logits, axis=-1).swapaxes(2, 3)


class TextTrunk(nn.Module):
    """Lines to features; heads attach to them.

    Attributes:
        width: channels; 512 in the paper.
        blocks: pairs of convolutions; 5 in the paper.
        dtype: compute dtype.
    """

    width: int = 512
    blocks: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(
        self, lines: Float[Array, "n length letters 1"], *, context: Context
    ) -> Float[Array, "n d"]:
        """Features, shape [n, length * width]."""
        if lines.ndim != 4 or lines.shape[3] != 1:
            raise ValueError(
                f"TextTrunk: lines of shape {lines.shape}; it takes [n, length, letters, 1]."
            )
        x = Conv(self.width, 1, dtype=self.dtype)(lines.swapaxes(2, 3), context=context)
        for _ in range(self.blocks):
            x = _block(x, self.width, self.dtype, context)
        return flatten(x)
