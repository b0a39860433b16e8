"""The LeNet of Sener & Koltun 2018 for two digits in one picture."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.nets.layers import Conv, Dense, flatten
from gan_mtl.nets.noise import Dropout
from gan_mtl.types import Context


class LeNetTrunk(nn.Module):
    """What the tasks share: two 5x5 convolutions without padding, each pooled; a dense layer.

    28x28 pixels to 24, 12, 8 and 4; whole channels of the second convolution are dropped. From the
    code of "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018
    (`models/multi_lenet.py`), which draws one mask of channels for the whole batch and leaves what
    is kept as it is: here every example has its own, and what is kept is divided by 1 - rate. It
    drops before it pools, here after it, which is the same.

    Attributes:
        widths: channels of the convolutions.
        features: of the dense layer.
        dropout: rate of channels.
        dtype: compute dtype.
    """

    widths: tuple[int, int] = (10, 20)
    features: int = 50
    dropout: float = 0.5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Shape [n, features]."""
        first, second = self.widths
        conv = functools.partial(Conv, padding="VALID", pooled=True, dtype=self.dtype)
        x = nn.relu(conv(first, 5)(x, context=context))
        x = conv(second, 5)(x, context=context)
        x = Dropout(self.dropout, channels=True)(x, context=context)
        x = flatten(nn.relu(x))
        return nn.relu(Dense(self.features, dtype=self.dtype)(x, context=context))


class LeNetHead(nn.Module):
    """A task's own part: one hidden layer with dropout, and logits.

    Attributes:
        out: number of classes.
        width: of the hidden layer.
        dropout: rate of its units.
        dtype: compute dtype.
    """

    out: int = 10
    width: int = 50
    dropout: float = 0.5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n d"], *, context: Context) -> Float[Array, "n out"]:
        """Logits, shape [n, out]."""
        x = nn.relu(Dense(self.width, dtype=self.dtype)(x, context=context))
        x = Dropout(self.dropout)(x, context=context)
        return Dense(self.out, dtype=self.dtype)(x, context=context)
