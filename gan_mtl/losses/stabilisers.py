r"""Terms that steady the two players: LeCam, consistency under augmentation, mode seeking.

All return one value per example for the player to *descend*; the coefficient, the mean and the pass
through the networks are the caller's.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import logits_of, per_example_mean, same_shape, wide
from gan_mtl.types import batch_statistic

Logits = Float[Array, " n"]
Scalar = Float[Array, ""]


class LeCamState(NamedTuple):
    """Moving averages of the discriminator's mean logits.

    real: alpha_R, of real images; fake: alpha_F, of generated ones. Both shape=(), dtype=float32.
    """

    real: Scalar
    fake: Scalar


def lecam_init() -> LeCamState:
    """Both averages at 0; `lecam_update` with `decay=0` replaces them."""
    return LeCamState(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))


def lecam_update(
    state: LeCamState,
    real_logits: Logits,
    fake_logits: Logits,
    decay: float | Scalar = 0.99,
    axis_name: str | None = None,
) -> LeCamState:
    r"""The averages after a step, :math:`\alpha \leftarrow d\,\alpha + (1 - d)\,E[D]`.

    The authors' code calls this *before* the penalty of the same step, and with a decay of 0 until
    the penalty sets in (after some thousand steps), so that nothing is left of the start.

    Args:
        state: the averages so far.
        real_logits: shape [n]; no gradient goes through them here.
        fake_logits: shape [m].
        decay: in [0, 1]; may be traced.
        axis_name: the pmap axis, which the batch means go over; None under jit.
    """
    means = tuple(
        jax.lax.stop_gradient(logits_of(name, logits)).mean()
        for name, logits in (("real_logits", real_logits), ("fake_logits", fake_logits))
    )
    if axis_name is not None:
        means = jax.lax.pmean(means, axis_name)
    moved = (decay * old + (1 - decay) * new for old, new in zip(state, means, strict=True))
    return LeCamState(*(new.astype(old.dtype) for new, old in zip(moved, state, strict=True)))


def lecam(real_logits: Logits, fake_logits: Logits, ema: LeCamState) -> Logits:
    r"""LeCam's regulariser of the discriminator, for training on few images.

    :math:`\mathrm{relu}(D(x) - \alpha_F)^2 + \mathrm{relu}(\alpha_R - D(G(z)))^2`: either logit is
    drawn to the moving average of the other side's. The averages are constants: each example's
    value depends on no other. The coefficient (0.3 for CIFAR-10 in StudioGAN's configuration, with
    a decay of 0.99 and a start at step 1000) is the caller's.

    Args:
        real_logits: shape [n].
        fake_logits: shape [n].
        ema: as made by `lecam_update`.

    Example:
        >>> lecam(jnp.array([2.0]), jnp.array([0.5]), LeCamState(jnp.array(1.0), jnp.array(-1.0)))
        Array([9.25], dtype=float32)

    Reference:
        Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", CVPR 2021.
        Differs, as the authors' code does: the paper has the squares without the relu.
    """
    real, fake = logits_of("real_logits", real_logits), logits_of("fake_logits", fake_logits)
    same_shape(real_logits=real, fake_logits=fake)
    ema = jax.lax.stop_gradient(ema)
    return jnp.square(relu(real - ema.fake)) + jnp.square(relu(ema.real - fake))


def consistency(
    outputs: Float[Array, " n *dims"], outputs_of_augmented: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    r"""Squared distance of the discriminator's outputs on two views, summed over all axes but one.

    - CR: :math:`\lVert D(x) - D(T(x)) \rVert^2` on real images and augmented ones, times 10.
    - bCR: that on real images and the same on generated ones, each times 10.
    - zCR, the discriminator's half: :math:`\lVert D(G(z)) - D(G(z + \Delta z)) \rVert^2`, times
      20; the generator's is `latent_consistency`.

    (The coefficients are those of StudioGAN for CIFAR-10, which takes means.) Outputs are the
    logits [n]; a vector of class logits or an embedding has its own term.

    Args:
        outputs: shape [n] or [n, ...].
        outputs_of_augmented: of the same shape. Gradients flow through both.

    Example:
        >>> consistency(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
        Array([0., 9.], dtype=float32)

    Reference:
        Zhang et al., "Consistency Regularization for Generative Adversarial Networks", ICLR 2020;
        Zhao et al., "Improved Consistency Regularization for GANs", AAAI 2021 (bCR, zCR).
    """
    a = wide("outputs", outputs)
    b = wide("outputs_of_augmented", outputs_of_augmented)
    same_shape(outputs=a, outputs_of_augmented=b)
    return jnp.square(a - b).sum(axis=tuple(range(1, a.ndim)))


def latent_consistency(
    images: Float[Array, " n *dims"], images_of_moved_latents: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    r"""zCR's term of the generator, :math:`-\lVert G(z) - G(z + \Delta z) \rVert^2`.

    Never positive, and without a lower bound: the generator is to answer to the latents. The *sum*
    over pixels, as the paper writes it: a coefficient that was found for the mean over pixels (0.5
    for CIFAR-10 in StudioGAN, with noise of deviation 0.05) is to be divided by their number.

    Args:
        images: G(z), shape [n, ...].
        images_of_moved_latents: G(z + Delta z), Delta z a small normal noise of the caller.

    Reference:
        Zhao et al., "Improved Consistency Regularization for GANs", AAAI 2021.
    """
    a, b = wide("images", images), wide("images_of_moved_latents", images_of_moved_latents)
    same_shape(images=a, images_of_moved_latents=b)
    return -jnp.square(a - b).sum(axis=tuple(range(1, a.ndim)))


def mode_seeking(
    images_a: Float[Array, " n *dims"],
    images_b: Float[Array, " n *dims"],
    z_a: Float[Array, " n *latent"],
    z_b: Float[Array, " n *latent"],
) -> Float[Array, " n"]:
    r"""Mode seeking: images of two latents are to be as far apart as the latents are.

    :math:`1 / (d_I / d_z + \epsilon)` with :math:`d_I` the mean absolute difference of the images,
    :math:`d_z` that of the latents and :math:`\epsilon = 10^{-5}`: in (0, 1e5]. Written as
    :math:`d_z / (d_I + \epsilon d_z)`, which is finite for equal images.

    Args:
        images_a: G(z_a), shape [n, ...].
        images_b: G(z_b), with the same conditions (labels, input images) as images_a.
        z_a: shape [n, ...].
        z_b: shape [n, ...].

    Example:
        >>> mode_seeking(jnp.ones((1, 4)), jnp.zeros((1, 4)), jnp.ones((1, 2)), -jnp.ones((1, 2)))
        Array([1.99996], dtype=float32)

    Reference:
        Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis", CVPR
        2019. The paper maximises the ratio; the inverse, the absolute differences and epsilon are
        the authors' code's. Differs from it: the ratio is of each pair, where the code divides the
        means over the batch.
    """
    images_a, images_b = wide("images_a", images_a), wide("images_b", images_b)
    z_a, z_b = wide("z_a", z_a), wide("z_b", z_b)
    same_shape(images_a=images_a, images_b=images_b)
    same_shape(z_a=z_a, z_b=z_b)
    if images_a.shape[0] != z_a.shape[0]:
        raise ValueError(
            "images_a and z_a: one image per latent is needed, got "
            f"{images_a.shape[0]} images and {z_a.shape[0]} latents"
        )
    d_i = per_example_mean(jnp.abs(images_a - images_b))
    d_z = jnp.maximum(per_example_mean(jnp.abs(z_a - z_b)), 1e-12)
    return d_z / (d_i + 1e-5 * d_z)


def top_k_mask(
    fake_logits: Logits, k: int | Array, axis_name: str | None = None
) -> Float[Array, " n"]:
    """1 for the k largest logits of the global batch, 0 for the others: a generator's mask.

    With `types.Loss(values, top_k_mask(...))` only the k generated images that the discriminator
    likes best move the generator, by their mean. Exactly k ones whatever the number of devices: a
    logit's rank is counted among all devices', equal logits in the order of their global numbers.
    A batch statistic. No gradient goes through it.

    Args:
        fake_logits: shape [n], those of this device.
        k: how many of the *global* batch; may be traced (`top_k_size`).
        axis_name: the pmap axis; None under jit.

    Example:
        >>> top_k_mask(jnp.array([0.1, 3.0, -1.0, 2.0]), 2)
        Array([0., 1., 0., 1.], dtype=float32)

    Reference:
        Sinha et al., "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad
        Samples", NeurIPS 2020.
    """
    own = jax.lax.stop_gradient(logits_of("fake_logits", fake_logits))
    n = own.shape[0]
    everyone, first = own, 0
    if axis_name is not None:
        everyone = jax.lax.all_gather(own, axis_name, tiled=True)
        first = jax.lax.axis_index(axis_name) * n
    if isinstance(k, int) and not 1 <= k <= everyone.shape[0]:
        raise ValueError(f"k: expected 1 to {everyone.shape[0]}, the global batch, got {k}")
    number = first + jnp.arange(n)
    before = jnp.arange(everyone.shape[0])[None] < number[:, None]
    better = everyone[None] > own[:, None]
    rank = (better | ((everyone[None] == own[:, None]) & before)).sum(axis=1)
    return batch_statistic("top_k_mask", (rank < k).astype(own.dtype))


def top_k_size(step: int | Array, n: int, gamma: float = 0.99, minimum: int = 1) -> Array:
    r"""The annealed k, :math:`\max(\lfloor n\,\gamma^t \rfloor, \mathrm{minimum})`, an int32.

    Args:
        step: t, how often k has been annealed; codes do it once an *epoch*. May be traced.
        n: the global batch, where k starts.
        gamma: the decay, in (0, 1].
        minimum: where it ends, in 1 .. n.

    Example:
        >>> [int(top_k_size(t, 128, 0.99, 64)) for t in (0, 1, 10, 1000)]
        [128, 126, 115, 64]

    Reference:
        Sinha et al. 2020, as above; k is kept unrounded between the steps.
    """
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma: expected a number in (0, 1], got {gamma}")
    if not 1 <= minimum <= n:
        raise ValueError(f"minimum: expected 1 to {n}, the batch, got {minimum}")
    size = n * jnp.power(jnp.float32(gamma), jnp.asarray(step, jnp.float32))
    whole = jnp.floor(size * (1 + 1e-6))  # float32 may lie just below a whole number
    return jnp.maximum(whole, minimum).astype(jnp.int32)
