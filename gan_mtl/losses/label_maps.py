r"""Adversarial losses of images that were asked for pixel by pixel: OASIS.

The discriminator is a segmentation network with a class more, "fake", which stands last: its
outputs are logits [n, h, w, k + 1], and the label map says what each pixel of a real image is and
what each pixel of a generated one was asked to be.

Reference:
    Schönfeld, Sushko, Zhang, Gall, Schiele, Khoreva, "You Only Need Adversarial Supervision for
    Semantic Image Synthesis", ICLR 2021, arXiv 2012.04781.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_mtl import draws
from gan_mtl.losses._inputs import same_shape, wide
from gan_mtl.losses.segmentation import IGNORE, checked_mask
from gan_mtl.types import Context

Outputs = Float[Array, "n h w k+1"]
Masks = Int[Array, "n h w"]


def class_balance(
    mask: Masks, num_classes: int, axis_name: str | None = None
) -> Float[Array, " k"]:
    r""":math:`\alpha_c`: how many pixels there are by how many are of class c.

    Over the whole batch; a class that is not in it has 0, and its pixels cannot ask for more. The
    paper's; its authors' code (boschresearch/OASIS, models/losses.py) divides by the number of
    classes in the batch as well, so that the rows of reals weigh that much less against fakes.

    Args:
        mask: classes 0 .. k - 1, or 255 where a pixel is ignored.
        num_classes: k.
        axis_name: the pmap axis; None under jit.
    """
    classes = mask.reshape(-1).astype(jnp.int32)
    classes = jnp.where(classes < 0, num_classes, classes)  # out of range, not from the end
    counts = jnp.zeros(num_classes).at[classes].add(1.0, mode="drop")
    if axis_name is not None:
        counts = jax.lax.psum(counts, axis_name)
    return jnp.where(counts > 0, counts.sum() / jnp.maximum(counts, 1.0), 0.0)


def oasis_disc(
    real_outputs: Outputs, fake_outputs: Outputs, mask: Masks, balance: Float[Array, " k"]
) -> Float[Array, " n"]:
    r"""Reals are what their map says, fakes are fake, pixel by pixel.

    :math:`-\frac{1}{hw} \sum_{ij} \alpha_{t_{ij}} \log D(x)_{ij,t_{ij}} - \frac{1}{hw} \sum_{ij}
    \log D(G(z, t))_{ij,k+1}`; ignored pixels of reals count nothing.

    Args:
        real_outputs, fake_outputs: logits, shape [n, h, w, k + 1].
        mask: of the reals.
        balance: :math:`\alpha`, of `class_balance`.
    """
    same_shape(real_outputs=real_outputs, fake_outputs=fake_outputs)
    fake = -jax.nn.log_softmax(wide("fake_outputs", fake_outputs))[..., -1]
    return oasis_gen(real_outputs, mask, balance) + fake.mean(axis=(1, 2))


def oasis_gen(
    fake_outputs: Outputs, mask: Masks, balance: Float[Array, " k"]
) -> Float[Array, " n"]:
    r"""Fakes are to be taken for what was asked for.

    :math:`-\frac{1}{hw} \sum_{ij} \alpha_{t_{ij}} \log D(G(z, t))_{ij,t_{ij}}`.

    Args:
        fake_outputs: logits, shape [n, h, w, k + 1].
        mask: what was asked for; ignored pixels count nothing, a class outside the range is NaN.
        balance: :math:`\alpha`, of `class_balance`.
    """
    logits = wide("outputs", fake_outputs)
    mask, k = checked_mask(logits, mask), logits.shape[-1] - 1
    if balance.shape != (k,):
        raise ValueError(
            f"balance: expected one weight for each of {k} classes, shape ({k},), got "
            f"{balance.shape}; outputs have a channel more, for 'fake'"
        )
    seen = mask != IGNORE
    classes = jnp.where(seen, mask, 0)
    one_hot = jax.nn.one_hot(classes, k + 1, dtype=logits.dtype)
    values = -(one_hot * jax.nn.log_softmax(logits)).sum(axis=-1)
    weights = jnp.where(seen, balance[jnp.minimum(classes, k - 1)], 0.0)
    values = jnp.where((classes >= 0) & (classes < k), values, jnp.nan)
    return (weights * values).mean(axis=(1, 2))


def oasis_unlabelled(real_outputs: Outputs) -> Float[Array, " n"]:
    r"""Reals whose map nobody knows are of any class but "fake".

    :math:`-\frac{1}{hw} \sum_{ij} \log (1 - D(x)_{ij,k+1})`. Not in the paper: at
    every pixel the unlabelled part of Salimans et al., "Improved Techniques for Training GANs",
    NeurIPS 2016.

    Args:
        real_outputs: logits, shape [n, h, w, k + 1].
    """
    logits = wide("real_outputs", real_outputs)
    known = jax.nn.logsumexp(logits[..., :-1], axis=-1)
    return (jax.nn.logsumexp(logits, axis=-1) - known).mean(axis=(1, 2))


def label_mix_mask(mask: Masks, num_classes: int, context: Context) -> Bool[Array, "n h w"]:
    """Which image shows at a pixel: a fair coin for every class of every example.

    Args:
        mask: label maps; ignored pixels have a coin of their own.
        num_classes: k.
        context: of the draws, which belong to the global examples.
    """
    coins = draws.uniform(len(mask), (num_classes + 1,), context) < 0.5
    classes = jnp.minimum(mask.astype(jnp.int32), num_classes)
    return jnp.take_along_axis(coins, classes.reshape(len(mask), -1), axis=1).reshape(mask.shape)


def label_mix_consistency(
    mixed_outputs: Outputs,
    mix: Bool[Array, "n h w"],
    real_outputs: Outputs,
    fake_outputs: Outputs,
) -> Float[Array, " n"]:
    """Logits of a mixed image are to be the mixed logits: mean squared difference.

    Args:
        mixed_outputs: of the real image where `mix` is True and of the fake one elsewhere.
        mix: of `label_mix_mask`.
        real_outputs, fake_outputs: of the two images.
    """
    same_shape(mixed=mixed_outputs, real_outputs=real_outputs, fake_outputs=fake_outputs)
    wanted = jnp.where(mix[..., None], real_outputs, fake_outputs)
    return jnp.square(wide("mixed_outputs", mixed_outputs) - wanted).mean(axis=(1, 2, 3))
