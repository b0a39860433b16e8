"""Detection without anchors: a heat map of centres, what the raster cut off, and sizes.

Zhou, Wang & Krähenbühl, "Objects as Points" (CenterNet), 2019, arXiv 1904.07850. The head's loss is
`losses.centre_loss`; `decode_centres` makes boxes of its outputs, inside jit, in fixed shapes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.nets.layers import Conv
from gan_mtl.nets.pyramid import MapNorm, Maps, PyramidDecoder, he, maps_of
from gan_mtl.types import Context


class CentreHead(nn.Module):
    """A pyramid decoder; then a 3x3 and a 1x1 convolution each for the centres and for the boxes.

    Attributes:
        num_classes: k.
        width: channels of the decoder and of the hidden layers.
        norm: of the decoder.
        prior: how likely a centre is taken to be at first (Lin et al. 2017, section 4.1).
        skip: how many of the finest maps are left out: boxes need places less fine than pixels do
            (the paper's have stride 4).
        dtype: compute dtype.
    """

    num_classes: int
    width: int = 64
    norm: MapNorm = "group"
    prior: float = 0.1
    skip: int = 0
    dtype: Any = None

    @nn.compact
    def __call__(
        self, maps: Maps | Float[Array, "n h w c"], *, context: Context
    ) -> Float[Array, "n h w k+4"]:
        """Of every place of the finest map k logits of a centre, its offset (x, y), its box's size.

        Offsets and sizes (width, height) in places of the map, the finest that is not left out.
        """
        maps = maps_of("CentreHead", maps)
        if not 0 <= self.skip < len(maps):
            raise ValueError(
                f"CentreHead: skip={self.skip} of {len(maps)} maps; leave one at least."
            )
        maps = maps[self.skip :]
        x = PyramidDecoder(self.width, self.norm, dtype=self.dtype)(maps, context=context)
        start = nn.initializers.constant(jnp.log(self.prior / (1 - self.prior)))
        found = []
        for name, out, bias in (("centre", self.num_classes, start), ("box", 4, None)):
            hidden = Conv(self.width, kernel_init=he, dtype=self.dtype, name=f"{name}_hidden")
            h = nn.relu(hidden(x, context=context))
            h = Conv(out, 1, use_bias=False, dtype=self.dtype, name=name)(h, context=context)
            h = h.astype(jnp.promote_types(h.dtype, jnp.float32))
            shift = self.param(f"{name}_bias", bias or nn.initializers.zeros, (out,), jnp.float32)
            found.append(h + shift.reshape(1, 1, 1, -1))
        return jnp.concatenate(found, axis=-1)


class Detections(NamedTuple):
    """Boxes in the order of their scores; where `classes` is -1 there is none.

    boxes: shape [n, m, 4], (x0, y0, x1, y1) in pixels.
    scores: shape [n, m], in [0, 1].
    classes: shape [n, m], 0 .. k - 1.
    """

    boxes: Float[Array, "n m 4"]
    scores: Float[Array, "n m"]
    classes: Int[Array, "n m"]


def decode_centres(
    outputs: Float[Array, "n h w k+4"],
    size: tuple[int, int],
    *,
    most: int = 100,
    least: float = 0.05,
    overlap: float | None = 0.5,
) -> Detections:
    """The boxes that a `CentreHead` means.

    A centre is where a class is likelier than at the eight places around (section 4); the paper
    takes these as they are, here `suppress` follows.

    Args:
        outputs: of the head.
        size: height and width of the images.
        most: boxes of an image, at most all places of the map times classes.
        least: score that a box needs.
        overlap: IoU from which on the less likely of two boxes of a class goes; None keeps both.
    """
    n, h, w, channels = outputs.shape
    k = channels - 4
    most = min(most, h * w * k)
    heat = jax.nn.sigmoid(outputs[..., :k])
    peak = jax.lax.reduce_window(heat, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    heat = jnp.where(heat == peak, heat, 0.0)
    scores, places = jax.lax.top_k(heat.reshape(n, -1), most)
    classes, places = places % k, places // k
    rest = jnp.take_along_axis(outputs[..., k:].reshape(n, h * w, 4), places[..., None], axis=1)
    stride = jnp.array([size[1] / w, size[0] / h], outputs.dtype)[None, None]
    at = jnp.stack([places % w, places // w], axis=-1).astype(outputs.dtype)
    centre, half = (at + rest[..., :2]) * stride, jnp.maximum(rest[..., 2:], 0.0) * stride / 2
    boxes = jnp.concatenate([centre - half, centre + half], axis=-1)
    limits = jnp.array([size[1], size[0]] * 2, outputs.dtype)[None, None]
    boxes = jnp.clip(boxes, 0.0, limits)
    found = Detections(boxes, scores, jnp.where(scores >= least, classes, -1))
    return found if overlap is None else suppress(found, overlap)


def suppress(found: Detections, overlap: float = 0.5) -> Detections:
    """Non-maximum suppression of each class in each image, greedy by descending score.

    Of two boxes of a class with an IoU above `overlap` the one with the smaller score goes, unless
    it was itself removed before; its class becomes -1. For boxes in the order of their scores.

    Args:
        found: of any number of images; all shapes stay.
        overlap: IoU in [0, 1].
    """

    def one(boxes: Float[Array, "m 4"], classes: Int[Array, " m"]) -> Int[Array, " m"]:
        same = (classes[:, None] == classes[None]) & (classes[:, None] >= 0)
        above = (box_iou(boxes, boxes) > overlap) & same

        def step(i, kept):
            beaten = jnp.any(above[i] & kept & (jnp.arange(len(kept)) < i))
            return kept.at[i].set(kept[i] & ~beaten)

        kept = jax.lax.fori_loop(0, len(boxes), step, classes >= 0)
        return jnp.where(kept, classes, -1)

    return found._replace(classes=jax.vmap(one)(found.boxes, found.classes))


def box_iou(a: Float[Array, "m 4"], b: Float[Array, "l 4"]) -> Float[Array, "m l"]:
    """Intersection over union of all pairs of boxes (x0, y0, x1, y1); 0 where both are empty."""
    low = jnp.maximum(a[:, None, :2], b[None, :, :2])
    high = jnp.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0.0), axis=-1)
    areas = [jnp.prod(jnp.maximum(x[:, 2:] - x[:, :2], 0.0), axis=-1) for x in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1.0), 0.0)
