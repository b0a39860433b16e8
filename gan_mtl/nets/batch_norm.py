"""Batch normalisation over the global batch, under jit and pmap alike."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_mtl.types import Context


class BatchNorm(nn.Module):
    """Ioffe & Szegedy 2015, arXiv 1502.03167, with the axis of the devices from the context.

    Under jit the batch is global already; under pmap the moments are averaged over
    `context.axis_name`. Running averages: new = momentum * old + (1 - momentum) * batch, with the
    biased variance (PyTorch keeps the unbiased one; its momentum 0.1 is 0.9 here). Statistics and
    parameters stay float32 (float64 with float64 inputs) whatever `dtype` is.

    Attributes:
        momentum: of the running averages, in [0, 1].
        epsilon: added to the variance.
        use_scale, use_bias: whether there is a scale, and a bias.
        scale_init: initialiser of the scale; DCGAN draws it from N(1, 0.02²).
        dtype: dtype of the outputs; None promotes inputs and parameters.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    scale_init: nn.initializers.Initializer = nn.initializers.ones
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "n ... c"], *, context: Context) -> Float[Array, "n ... c"]:
        """`x` normalised over all axes but the last: by the batch in training, else as averaged."""
        return nn.BatchNorm(
            use_running_average=not context.train,
            axis_name=context.axis_name,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=self.use_scale,
            use_bias=self.use_bias,
            scale_init=self.scale_init,
            dtype=self.dtype,
            name="norm",
        )(x)
