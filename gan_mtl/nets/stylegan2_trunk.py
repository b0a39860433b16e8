"""StyleGAN2's discriminator (Karras et al. 2020, arXiv 1912.04958): residual trunk and head."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.nets.layers import flatten
from gan_mtl.nets.minibatch import minibatch_stddev
from gan_mtl.nets.modulated_conv import (
    EqualizedConv,
    EqualizedDense,
    second_moment_normalised,
)
from gan_mtl.nets.resnet_gan import check_images, check_widths
from gan_mtl.nets.stylegan2 import style_widths
from gan_mtl.types import Context


class StyleTrunk(nn.Module):
    """Images to features: residual blocks that halve the size, then the groups' deviation.

    A block is two 3x3 convolutions, the second with the filter and a stride, plus a filtered 1x1
    convolution without bias; their sum is divided by sqrt 2.

    Attributes:
        widths: channels at the images' size, then after every halving.
        group_size: of `minibatch_stddev` before the last convolution, in consecutive examples; 0
            leaves it out (a gradient penalty then looks at each image by itself).
        dtype: compute dtype.
    """

    widths: tuple[int, ...]
    group_size: int = 4
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"], *, context: Context) -> Float[Array, "n d"]:
        """Features, shape [n, widths[-1]]."""
        check_widths(self, self.widths)
        check_images(self, images, len(self.widths) - 1)
        plain: dict[str, Any] = {"dtype": self.dtype}
        x = EqualizedConv(self.widths[0], 1, name="images", **plain)(images, context=context)
        for i, width in enumerate(self.widths[1:]):
            skip = EqualizedConv(width, 1, True, False, name=f"skip_{i}", **plain)
            y = EqualizedConv(x.shape[-1], name=f"conv_{i}", **plain)(x, context=context)
            y = EqualizedConv(width, down=True, name=f"down_{i}", **plain)(y, context=context)
            x = (skip(x, context=context) + y) * math.sqrt(0.5)
        if self.group_size:
            x = minibatch_stddev(x, self.group_size)
        x = EqualizedConv(self.widths[-1], name="last", **plain)(x, context=context)
        dense = EqualizedDense(self.widths[-1], activate=True, name="dense", **plain)
        return dense(flatten(x), context=context)


class StyleHead(nn.Module):
    """Features to logits: one linear unit; with labels their projection on a map of the label.

    <phi(x), m(y)> / sqrt(d), with m the labels' mapping network (8 layers of the features' width).

    Attributes:
        num_classes: labels are 0 .. num_classes - 1; None is without labels.
        layers: of the labels' mapping.
        multiplier: of its learning rate.
        dtype: compute dtype.
    """

    num_classes: int | None = None
    layers: int = 8
    multiplier: float = 0.01
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "n d"],
        labels: Int[Array, " n"] | None = None,
        *,
        context: Context,
    ) -> Float[Array, " n"]:
        """Logits, shape [n]."""
        if (labels is None) != (self.num_classes is None):
            given = "no labels" if labels is None else f"labels of shape {labels.shape}"
            raise ValueError(
                f"StyleHead: num_classes={self.num_classes} with {given}; both or neither."
            )
        if labels is None or self.num_classes is None:
            out = EqualizedDense(1, dtype=self.dtype, name="out")
            return out(features, context=context)[:, 0]
        width = features.shape[1]
        out = EqualizedDense(width, dtype=self.dtype, name="out")
        y = jax.nn.one_hot(labels, self.num_classes, dtype=features.dtype)
        y = EqualizedDense(width, dtype=self.dtype, name="embed")(y, context=context)
        y = second_moment_normalised(y)
        for i in range(self.layers):
            layer = EqualizedDense(
                width, self.multiplier, activate=True, dtype=self.dtype, name=f"layer_{i}"
            )
            y = layer(y, context=context)
        return jnp.sum(out(features, context=context) * y, axis=1) / math.sqrt(width)


def style_trunk(
    size: int, *, base: int = 32768, most: int = 512, group_size: int = 4, dtype: Any = None
) -> StyleTrunk:
    """The trunk for square images; arguments and errors as of `style_generator`.

    The authors' groups have up to 32 examples for CIFAR-10, 8 for 256 pixels and 4 for larger ones.
    """
    return StyleTrunk(style_widths(size, base, most)[::-1], group_size, dtype=dtype)
