"""Networks that look at every pixel by itself: games of maps without a convolution to compile."""

import flax.linen as nn
import jax.numpy as jnp

from gan_mtl import nets


class Pointwise(nn.Module):
    """Two dense layers of a pixel's channels, those of all inputs side by side.

    `noise`: whether latents [n, z] are among them; `norm`: BatchNorm between; `squash`: tanh at the
    end; `out` = 0: one output without an axis.
    """

    out: int
    noise: bool = False
    norm: bool = False
    squash: bool = False

    @nn.compact
    def __call__(self, *inputs, context):
        places = inputs[-1].shape[:3]
        seen = [x for x in inputs if x.ndim == 4]
        if self.noise:
            seen += [
                jnp.broadcast_to(x[:, None, None], (*places, x.shape[-1]))
                for x in inputs
                if x.ndim == 2
            ]
        x = nn.Dense(5, use_bias=not self.norm)(jnp.concatenate(seen, axis=-1))
        x = nets.BatchNorm()(x, context=context) if self.norm else x
        x = nn.Dense(self.out or 1)(jnp.tanh(x))
        x = jnp.tanh(x) if self.squash else x
        return x if self.out else x[..., 0]


def pointwise(out, **options):
    """The network, as a game takes it."""
    return nets.from_linen(Pointwise(out, **options))
