r"""Discriminators that are auto-encoders: EBGAN and BEGAN.

What stands where a logit stands elsewhere is an *energy*, the error of an example's reconstruction
(`tasks.l2` for EBGAN, `tasks.l1` for BEGAN: means over pixels), and it is read the other way round:
never negative, and *low* for what is taken to be real.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu
from jaxtyping import Array, Float

from gan_mtl.losses._inputs import logits_of, same_shape
from gan_mtl.losses.adversarial import AdversarialLoss

Energies = Float[Array, " n"]
Scalar = Float[Array, ""]


def _checked(real_energies: Array, fake_energies: Array) -> tuple[Energies, Energies]:
    real = logits_of("real_energies", real_energies)
    fake = logits_of("fake_energies", fake_energies)
    same_shape(real_energies=real, fake_energies=fake)
    return real, fake


def energy_based(margin: float) -> AdversarialLoss:
    r"""EBGAN: the discriminator lowers the energy of reals and raises that of fakes to a margin.

    D: :math:`E(x) + \mathrm{relu}(m - E(G(z)))`; G: :math:`E(G(z))`. Both take energies where
    others take logits. The pull-away term of the generator, on the codes of the auto-encoder, is
    `semi_supervised.pull_away`; as a row of a game, `gan_rows.pull_away`.

    Args:
        margin: m > 0, in the units of the energy.

    Example:
        >>> energy_based(1.0).disc(jnp.array([0.2]), jnp.array([0.7]))
        Array([0.5], dtype=float32)

    Reference:
        Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", ICLR 2017.
    """
    if not margin > 0:
        raise ValueError(f"margin: expected a number > 0, got {margin}")

    def disc(real_energies: Energies, fake_energies: Energies) -> Energies:
        real, fake = _checked(real_energies, fake_energies)
        return real + relu(margin - fake)

    def gen(real_energies: Energies, fake_energies: Energies) -> Energies:
        return _checked(real_energies, fake_energies)[1]

    return AdversarialLoss(disc, gen, reads="energies")


class BeganState(NamedTuple):
    """k: how much of the fakes' error the discriminator ascends, in [0, 1]; shape=(), float32."""

    k: Scalar


def began_init() -> BeganState:
    """k = 0: at first the discriminator is an auto-encoder of real images."""
    return BeganState(jnp.zeros((), jnp.float32))


def began(state: BeganState) -> AdversarialLoss:
    r"""BEGAN's pair at the present k. D: :math:`L(x) - k\,L(G(z))`; G: :math:`L(G(z))`.

    Both take the errors of reconstruction where others take logits; k is a constant. Neither is
    bounded below, as an error may be ascended.

    Args:
        state: as made by `began_update`.

    Example:
        >>> began(BeganState(jnp.array(0.5))).disc(jnp.array([1.0]), jnp.array([0.5]))
        Array([0.75], dtype=float32)

    Reference:
        Berthelot, Schumm, Metz, "BEGAN: Boundary Equilibrium Generative Adversarial Networks",
        2017.
    """
    k = jax.lax.stop_gradient(state.k)

    def disc(real_energies: Energies, fake_energies: Energies) -> Energies:
        real, fake = _checked(real_energies, fake_energies)
        return real - k * fake

    def gen(real_energies: Energies, fake_energies: Energies) -> Energies:
        return _checked(real_energies, fake_energies)[1]

    return AdversarialLoss(disc, gen, reads="energies")


def began_update(
    state: BeganState,
    real_energies: Energies,
    fake_energies: Energies,
    *,
    gamma: float = 0.5,
    lambda_k: float = 0.001,
    axis_name: str | None = None,
) -> tuple[BeganState, Scalar]:
    r"""The control of k after a step, and the paper's measure of convergence.

    :math:`k \leftarrow k + \lambda_k (\gamma\,E[L(x)] - E[L(G(z))])`, held in [0, 1], and
    :math:`M = E[L(x)] + |\gamma\,E[L(x)] - E[L(G(z))]|`, from the batch means of all devices. In
    equilibrium :math:`E[L(G(z))] = \gamma\,E[L(x)]`: a small gamma means few, good images.

    Args:
        state: k so far.
        real_energies: errors of real images, shape [n]; no gradient goes through them here.
        fake_energies: errors of generated images, shape [n]: those of the generator's pass.
        gamma: the diversity ratio, > 0, in [0, 1] in the paper.
        lambda_k: the rate of k, > 0.
        axis_name: the pmap axis; None under jit.

    Returns:
        The state with the new k, and M, shape [], which falls as training converges.

    Reference:
        As `began`.
    """
    for name, value in (("gamma", gamma), ("lambda_k", lambda_k)):
        if not value > 0:
            raise ValueError(f"{name}: expected a number > 0, got {value}")
    means = tuple(x.mean() for x in jax.lax.stop_gradient(_checked(real_energies, fake_energies)))
    real, fake = means if axis_name is None else jax.lax.pmean(means, axis_name)
    balance = gamma * real - fake
    k = jnp.clip(state.k + lambda_k * balance, 0.0, 1.0)
    return BeganState(k.astype(state.k.dtype)), real + jnp.abs(balance)
