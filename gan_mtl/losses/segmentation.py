"""Maps of classes: cross-entropy over what is not ignored, soft Dice, and true maps as such."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.losses._inputs import wide
from gan_mtl.types import Loss

IGNORE = 255  # the class of pixels that no loss and no score looks at


def pixel_cross_entropy(
    logits: Float[Array, "n h w k"],
    mask: Int[Array, "n h w"],
    class_weights: Float[Array, " k"] | None = None,
) -> Loss:
    r"""Softmax cross-entropy of every pixel's class, in nats.

    Args:
        logits: shape [n, h, w, k].
        mask: classes 0 .. k - 1, or 255 where a pixel is ignored.
        class_weights: w; pixels count by the weight of their class, as in SegNet (median frequency
            over the class's frequency). None: all alike.

    Returns:
        Each image's mean over its pixels, and as its mask their weight (the share of pixels that
        are not ignored): so the mean over images is the mean over all pixels of all of them. An
        image where all is ignored has value 0 and weight 0. NaN for a class outside the range.
    """
    logits = wide("logits", logits)
    mask = checked_mask(logits, mask)
    k = logits.shape[-1]
    seen = mask != IGNORE
    classes = jnp.where(seen, mask, 0)
    weight = seen.astype(logits.dtype)
    if class_weights is not None:
        if class_weights.shape != (k,):
            raise ValueError(
                f"class_weights: expected one for each of {k} classes, got shape "
                f"{class_weights.shape}"
            )
        known = jnp.asarray(class_weights, logits.dtype)[jnp.clip(classes, 0, k - 1)]
        weight = weight * jnp.where((classes >= 0) & (classes < k), known, 1.0)  # faults stay
    target = jax.nn.one_hot(classes, k, dtype=logits.dtype)
    values = -(target * jax.nn.log_softmax(logits)).sum(axis=-1)
    values = jnp.where((classes >= 0) & (classes < k), values, jnp.nan)
    whole = weight.sum(axis=(1, 2))
    total = jnp.where(seen, weight * values, 0.0).sum(axis=(1, 2))
    pixels = mask.shape[1] * mask.shape[2]
    return Loss(total / jnp.where(whole > 0, whole, 1.0), whole / pixels)


def soft_dice(
    logits: Float[Array, "n h w k"], mask: Int[Array, "n h w"], smooth: float = 1.0
) -> Float[Array, " n"]:
    r"""1 less the mean over classes of :math:`(2 \sum p q + s) / (\sum p + \sum q + s)`.

    q is 1 where a pixel is of the class, p its probability; sums over an image's pixels that are
    not ignored. With s > 0 a class that is neither there nor predicted costs nothing. Milletari,
    Navab & Ahmadi, "V-Net", 3DV 2016, who square p and q in the denominator.

    Args:
        logits: shape [n, h, w, k].
        mask: classes 0 .. k - 1, or 255 where a pixel is ignored.
        smooth: s, at least 0, in pixels.

    Returns:
        One value per image, in [0, 1]; 0 where all is ignored and s > 0, NaN for a class outside
        the range.
    """
    logits = wide("logits", logits)
    mask = checked_mask(logits, mask)
    seen = (mask != IGNORE)[..., None].astype(logits.dtype)
    p = jax.nn.softmax(logits) * seen
    q = jax.nn.one_hot(mask, logits.shape[-1], dtype=logits.dtype) * seen
    both, either = (p * q).sum(axis=(1, 2)), (p + q).sum(axis=(1, 2))
    share = (2 * both + smooth) / jnp.maximum(either + smooth, jnp.finfo(logits.dtype).tiny)
    faulty = ((mask != IGNORE) & ((mask < 0) | (mask >= logits.shape[-1]))).any(axis=(1, 2))
    return jnp.where(faulty, jnp.nan, 1 - share.mean(axis=-1))


def one_hot_map(mask: Int[Array, "n h w"], num_classes: int) -> Float[Array, "n h w k"]:
    """1 at every pixel's class, in float32; zeros where a pixel is ignored."""
    return jax.nn.one_hot(mask.astype(jnp.int32), num_classes)


def scaled_map(
    probabilities: Float[Array, "n h w k"], mask: Int[Array, "n h w"], tau: float
) -> Float[Array, "n h w k"]:
    r"""The true map made like a predicted one, so that it cannot be told by its ones and zeros.

    The true class l of a pixel gets :math:`\bar y_l = \max(\tau, p_l)`, and the others, in
    proportion, :math:`p_c (1 - \bar y_l) / (1 - p_l)`: of all distributions with at least
    :math:`\tau` at l that which is nearest to p. The "Scaling" of Luc, Couprie, Chintala & Verbeek,
    "Semantic Segmentation using Adversarial Networks", 2016, arXiv 1611.08408, section 3.2, with
    tau = 0.9. No gradient.

    Args:
        probabilities: p, the predicted map.
        mask: classes 0 .. k - 1, or 255 where a pixel is ignored: zeros there.
        tau: in (0, 1]; 1 is one-hot.
    """
    if not 0 < tau <= 1:
        raise ValueError(f"tau={tau}: expected the true class's least mass, in (0, 1]")
    p = jax.lax.stop_gradient(wide("probabilities", probabilities))
    true = one_hot_map(checked_mask(p, mask), p.shape[-1]).astype(p.dtype)
    given = (p * true).sum(axis=-1, keepdims=True)
    wanted = jnp.maximum(given, tau)
    tiny = jnp.finfo(p.dtype).tiny
    others = p * (1 - wanted) / jnp.maximum(1 - given, tiny)
    seen = true.sum(axis=-1, keepdims=True)
    return true * wanted + (seen - true) * others


def checked_mask(logits: Array, mask: Array) -> Int[Array, "n h w"]:
    """The mask in int32; refuses one of another size or of numbers that are not whole."""
    mask = jnp.asarray(mask)
    if logits.ndim != 4 or mask.shape != logits.shape[:3]:
        raise ValueError(
            f"mask of shape {mask.shape} for logits of shape {logits.shape}: expected one class "
            f"for every pixel, shape {logits.shape[:3]}; resize masks by nearest neighbour"
        )
    if not jnp.issubdtype(mask.dtype, jnp.integer):
        raise TypeError(f"mask: expected integer classes, got dtype {mask.dtype}")
    return mask.astype(jnp.int32)
