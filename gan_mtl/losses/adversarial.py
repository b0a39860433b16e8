r"""Adversarial losses: from raw logits to one value per example.

The discriminator ends in a logit, never in a sigmoid: every logarithm of a sigmoid is written as a
softplus, :math:`-\log\sigma(t) = \mathrm{softplus}(-t)`, which stays finite with a useful gradient
at any logit; `log(sigmoid(t) + eps)` does not.

Each loss is a pair of functions of the same signature, `(real_logits[n], fake_logits[n]) -> [n]`;
most generators ignore the real logits. Both players *descend* what is returned. A pair with batch
means inside takes the axis of the devices too, when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu, softplus
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import logits_of, same_shape
from gan_mtl.types import batch_statistic

Logits = Float[Array, " n"]
Reads = Literal["logits", "energies", "pixels", "features"]


class AdversarialLoss(NamedTuple):
    """What the two players minimise, per example.

    disc: `(real_logits[n], fake_logits[n]) -> [n]`
    gen: `(real_logits[n], fake_logits[n]) -> [n]`
    batch_statistic: whether a value depends on other examples too. Both functions then take the
        keyword `axis_name`, the pmap axis that their means go over (None under jit), and gradient
        accumulation refuses the pair.
    reads: what both functions take: "logits" [n], "energies" [n], which are low for what is taken
        to be real (`energies`), "pixels" [n, 1 + h w] (`pixels`), or "features", a tuple of arrays
        [n, ...] (`multi_scale`).
    """

    disc: Callable[..., Logits]
    gen: Callable[..., Logits]
    batch_statistic: bool = False
    reads: Reads = "logits"


def _checked(real_logits: Array, fake_logits: Array) -> tuple[Logits, Logits]:
    """Both logits widened; refuses what is not one logit per example, and unequal numbers."""
    real, fake = logits_of("real_logits", real_logits), logits_of("fake_logits", fake_logits)
    same_shape(real_logits=real, fake_logits=fake)
    return real, fake


def _loss(disc: Callable, gen: Callable) -> AdversarialLoss:
    """Puts the checks and the widening before both formulas."""

    def checked(formula: Callable) -> Callable[[Logits, Logits], Logits]:
        def loss(real_logits: Logits, fake_logits: Logits) -> Logits:
            return formula(*_checked(real_logits, fake_logits))

        return loss

    return AdversarialLoss(checked(disc), checked(gen))


minimax = _loss(
    disc=lambda r, f: softplus(-r) + softplus(f),
    gen=lambda r, f: -softplus(f),
)
r"""The minimax game: D ascends, and G descends, E log D(x) + E log(1 - D(G(z))).

G's value is :math:`\log(1-\sigma(f)) = -\mathrm{softplus}(f)`: it saturates, its gradient vanishes
where the discriminator is sure of a fake. Goodfellow et al., "Generative Adversarial Nets", NeurIPS
2014, equation 1.
"""

non_saturating = _loss(
    disc=lambda r, f: softplus(-r) + softplus(f),
    gen=lambda r, f: softplus(-f),
)
r"""The same discriminator; G descends :math:`-\log D(G(z))`. Goodfellow et al. 2014, section 3."""

least_squares = _loss(
    disc=lambda r, f: 0.5 * jnp.square(r - 1) + 0.5 * jnp.square(f),
    gen=lambda r, f: 0.5 * jnp.square(f - 1),
)
"""LSGAN on raw logits with targets a = 0, b = c = 1 *and the paper's factors of one half*.

Some codes drop the half. Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017
(the 0-1 coding).
"""

hinge = _loss(
    disc=lambda r, f: relu(1 - r) + relu(1 + f),
    gen=lambda r, f: -f,
)
"""Hinge loss: the sum of two terms, no half. Lim and Ye, "Geometric GAN", 2017."""

wasserstein = _loss(
    disc=lambda r, f: f - r,
    gen=lambda r, f: -f,
)
"""The critic's negated estimate of the Wasserstein distance; wants a Lipschitz critic.

Arjovsky, Chintala, Bottou, "Wasserstein Generative Adversarial Networks", ICML 2017.
"""

relativistic = _loss(
    disc=lambda r, f: softplus(-(r - f)),
    gen=lambda r, f: softplus(-(f - r)),
)
"""RpGAN, the paired relativistic loss: example i of the reals is set against example i of the
fakes.

Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019 (RSGAN).
"""


def relativistic_average() -> AdversarialLoss:
    """RaGAN: every logit is set against the *other* side's mean over the global batch.

    D: softplus(-(r - mean f)) + softplus(f - mean r); G: the same with the sides exchanged. One
    value per example, but a batch statistic stands inside the non-linearity: gradient accumulation
    refuses it, and under pmap it needs the axis. Games hand it that of their context; called by
    hand, `disc` and `gen` take it as the keyword `axis_name`.

    Example:
        >>> loss = relativistic_average()
        >>> loss.disc(jnp.zeros(2), jnp.zeros(2), axis_name=None)
        Array([1.3862944, 1.3862944], dtype=float32)

    Reference:
        Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019 (RaSGAN); no half.
    """

    def above(a: Logits, b: Logits, axis_name: str | None) -> Logits:
        def mean(values: Logits) -> Float[Array, ""]:
            mean = values.mean()
            return mean if axis_name is None else jax.lax.pmean(mean, axis_name)

        values = softplus(-(a - mean(b))) + softplus(b - mean(a))
        return batch_statistic("relativistic_average", values)

    def disc(real_logits: Logits, fake_logits: Logits, axis_name: str | None = None) -> Logits:
        real, fake = _checked(real_logits, fake_logits)
        return above(real, fake, axis_name)

    def gen(real_logits: Logits, fake_logits: Logits, axis_name: str | None = None) -> Logits:
        real, fake = _checked(real_logits, fake_logits)
        return above(fake, real, axis_name)

    return AdversarialLoss(disc, gen, batch_statistic=True)


def smoothed(real: float = 0.9) -> AdversarialLoss:
    r"""The logistic game with one-sided label smoothing: reals have the target `real`, fakes 0.

    D: :math:`s\,\mathrm{softplus}(-r) + (1 - s)\,\mathrm{softplus}(r) + \mathrm{softplus}(f)`
    with s = `real`, least at :math:`\sigma(r) = s`; G: the non-saturating
    :math:`\mathrm{softplus}(-f)`. At s = 1 the pair is `non_saturating`.

    Args:
        real: the target of reals, in (0, 1].

    Example:
        >>> smoothed(0.9).disc(jnp.zeros(1), jnp.zeros(1))
        Array([1.3862944], dtype=float32)

    Reference:
        Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016 (one-sided label
        smoothing).
    """
    if not 0 < real <= 1:
        raise ValueError(f"real: expected a target in (0, 1], got {real}")
    return _loss(
        disc=lambda r, f: real * softplus(-r) + (1 - real) * softplus(r) + softplus(f),
        gen=lambda r, f: softplus(-f),
    )
