r"""Gradient penalties on the discriminator, one value per example.

`disc_fn` maps images `[n, ...]` to logits `[n]`, with the parameters closed over; the penalties are
ordinary functions of these, so they may be differentiated again (that is what training does).

The gradient of every image comes from *one* backward pass of `logits.sum()`. This is each example's
own gradient as long as the discriminator treats examples apart. BatchNorm in train mode and
minibatch statistics mix them; there, `per_example=True` differentiates each image alone, in a batch
of one (`vmap(grad)`): other values, since the statistics are then of one image. Best is no such
layer in a penalised discriminator; `games.gan` refuses BatchNorm there.

Those on logits, `lecam` and `consistency`, live in `stabilisers` and have their names here too.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.losses._inputs import logits_of, same_shape, wide
from gan_mtl.losses.stabilisers import consistency as consistency
from gan_mtl.losses.stabilisers import lecam as lecam
from gan_mtl.types import Context, batch_statistic

Images = Float[Array, " n *dims"]
DiscFn = Callable[[Images], Float[Array, " n"]]

TINY = 1e-12  # inside the square root: sqrt has no finite derivative at 0


def squared_gradient_norm(
    disc_fn: DiscFn, images: Images, *, per_example: bool = False
) -> Float[Array, " n"]:
    r""":math:`\lVert \nabla_x D(x) \rVert_2^2` per example, summed over all axes but the first."""
    images = wide("images", images)
    if images.ndim < 2:
        raise ValueError(f"images: expected a batch of shape [n, ...], got {images.shape}")

    def total(x: Images) -> Float[Array, ""]:
        logits = logits_of("disc_fn(images)", disc_fn(x))
        if logits.shape[0] != x.shape[0]:
            raise ValueError(
                f"disc_fn(images): expected one logit per image, {len(x)}, got {len(logits)}"
            )
        return logits.sum()

    if per_example:
        gradient = jax.vmap(jax.grad(lambda x: total(x[None])))(images)
    else:
        gradient = jax.grad(total)(images)
    return jnp.square(gradient).sum(axis=tuple(range(1, images.ndim)))


def distance_from_one(squared_norm: Float[Array, " n"]) -> Float[Array, " n"]:
    r""":math:`(\lVert \cdot \rVert - 1)^2` of squared norms, with a finite slope at 0."""
    return jnp.square(jnp.sqrt(squared_norm + TINY) - 1)


def _interpolated(real: Images, fake: Images, context: Context) -> Images:
    """Images between the real and the fake ones, at one uniform alpha per example."""
    real, fake = wide("real", real), wide("fake", fake)
    same_shape(real=real, fake=fake)
    n = real.shape[0]
    alpha = draws.uniform(n, (), context)
    alpha = alpha.reshape((n,) + (1,) * (real.ndim - 1)).astype(real.dtype)
    return alpha * real + (1 - alpha) * fake


def gradient_penalty(
    disc_fn: DiscFn, real: Images, fake: Images, context: Context, *, per_example: bool = False
) -> Float[Array, " n"]:
    r"""WGAN-GP: the distance from one of the gradient norm between real and fake images.

    :math:`(\lVert \nabla_{\hat x} D(\hat x) \rVert_2 - 1)^2` at
    :math:`\hat x = \alpha x + (1 - \alpha) \tilde x`, with one :math:`\alpha \sim U(0, 1)` *per
    example* and the norm over all axes but the first. The factor :math:`\lambda` (10 in the paper)
    is the caller's, as is the mean.

    Args:
        disc_fn: images `[n, ...]` to logits `[n]`.
        real: real images, `[n, ...]`.
        fake: generated images of the same shape.
        context: the draws of alpha belong to the global examples that it counts.
        per_example: differentiate each image alone; see the module's docstring.

    Returns:
        One non-negative value per example. 1e-12 stands inside the square root, so that the
        gradient is finite where the discriminator is flat.

    Example:
        >>> context = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
        >>> gradient_penalty(lambda x: 3 * x[:, 0], jnp.ones((2, 4)), jnp.zeros((2, 4)), context)
        Array([4., 4.], dtype=float32)

    Reference:
        Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3.
        Differs: the 1e-12.
    """
    between = _interpolated(real, fake, context.fold("gradient_penalty"))
    return distance_from_one(squared_gradient_norm(disc_fn, between, per_example=per_example))


def max_gradient_penalty(
    disc_fn: DiscFn, real: Images, fake: Images, context: Context, *, per_example: bool = False
) -> Float[Array, ""]:
    r"""LGAN's penalty :math:`\max_{\hat x} \lVert \nabla_{\hat x} D(\hat x) \rVert_2^2`.

    The maximum over the support is estimated at random interpolates of the global batch, as in
    `gradient_penalty`: a batch statistic, one scalar, equal on every device. It holds the
    Lipschitz constant down and draws no norm up to one. The factor :math:`\lambda` is the caller's.

    Args:
        disc_fn: images `[n, ...]` to logits `[n]`.
        real: real images, `[n, ...]`.
        fake: generated images of the same shape.
        context: the draws of alpha belong to the global examples; the maximum goes over
            `axis_name`.
        per_example: differentiate each image alone; see the module's docstring.

    Reference:
        Zhou et al., "Lipschitz Generative Adversarial Nets", ICML 2019.
    """
    between = _interpolated(real, fake, context.fold("max_gradient_penalty"))
    squared = squared_gradient_norm(disc_fn, between, per_example=per_example)
    if context.axis_name is not None:
        squared = jax.lax.all_gather(squared, context.axis_name, tiled=True)
    return squared.max()


def r1(disc_fn: DiscFn, real: Images, *, per_example: bool = False) -> Float[Array, " n"]:
    r"""Squared gradient norm on real images, :math:`\lVert \nabla_x D(x) \rVert_2^2` per example.

    *No factor of one half*: the paper's :math:`\gamma / 2` is the caller's, as is the mean.

    Args:
        disc_fn: images `[n, ...]` to logits `[n]`.
        real: real images, `[n, ...]`.
        per_example: differentiate each image alone; see the module's docstring.

    Returns:
        One non-negative value per example.

    Example:
        >>> r1(lambda x: x.sum(axis=1), jnp.ones((2, 3)))
        Array([3., 3.], dtype=float32)

    Reference:
        Mescheder, Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?", ICML
        2018.
    """
    return squared_gradient_norm(disc_fn, real, per_example=per_example)


def r2(disc_fn: DiscFn, fake: Images, *, per_example: bool = False) -> Float[Array, " n"]:
    """As `r1`, on generated images (same paper); again without the one half."""
    return squared_gradient_norm(disc_fn, fake, per_example=per_example)


def dragan(
    disc_fn: DiscFn,
    real: Images,
    context: Context,
    *,
    scale: float = 0.5,
    per_example: bool = False,
) -> Float[Array, " n"]:
    r"""DRAGAN: the gradient norm's distance from one in a neighbourhood of the real images.

    :math:`(\lVert \nabla_x D(x + \delta) \rVert_2 - 1)^2` with normal noise
    :math:`\delta \sim N(0, c I)` around the data, as the paper writes it, every pixel apart; here
    :math:`\sqrt c` = `scale` times the standard deviation of all values of the global batch of
    reals, the scale of the authors' code. (Four variants circulate: that code and its descendants
    draw the noise uniform and positive, and interpolate.) That deviation is a batch statistic:
    gradient accumulation refuses it. The factor :math:`\lambda` (10) is the caller's.

    Args:
        disc_fn: images `[n, ...]` to logits `[n]`.
        real: real images, `[n, ...]`.
        context: the noise belongs to the global examples; the deviation goes over `axis_name`.
        scale: the noise's deviation, in deviations of the batch.
        per_example: differentiate each image alone; see the module's docstring.

    Returns:
        One non-negative value per example.

    Reference:
        Kodali et al., "On Convergence and Stability of GANs", 2017.
    """
    real = wide("real", real)

    def mean(values: Array) -> Array:
        mean = values.mean()
        return mean if context.axis_name is None else jax.lax.pmean(mean, context.axis_name)

    deviation = batch_statistic("dragan", jnp.sqrt(mean(jnp.square(real - mean(real)))))
    noise = draws.normal(real.shape[0], real.shape[1:], context.fold("dragan")).astype(real.dtype)
    around = jax.lax.stop_gradient(real + scale * deviation * noise)
    return distance_from_one(squared_gradient_norm(disc_fn, around, per_example=per_example))
