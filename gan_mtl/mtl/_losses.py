"""What loss weightings have in common: absent tasks, and parameters that are learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from gan_mtl.types import Optimizer, PyTree


def positive(
    losses: Float[Array, " tasks"],
) -> tuple[Float[Array, " tasks"], Bool[Array, " tasks"]]:
    """The losses for a logarithm or a division, and which tasks the batch says something about.

    A loss of exactly 0 is that of a task without labels in the batch: it becomes 1 and is marked as
    absent, so that weights stay finite. A negative loss becomes NaN, so that the run stops.
    """
    absent = jnp.abs(losses) < jnp.finfo(losses.dtype).tiny
    return jnp.where(absent, 1.0, jnp.where(losses < 0, jnp.nan, losses)), ~absent


def softmax_pullback(
    softmax: Float[Array, " tasks"], gradient: Float[Array, " tasks"]
) -> Float[Array, " tasks"]:
    """The gradient with respect to the logits, from that with respect to their softmax."""
    return softmax * (gradient - (softmax * gradient).sum())


def one_each(name: str, given: float | Sequence[float] | None, num_tasks: int) -> None:
    """Refuses numbers given by objective if there are not as many as objectives."""
    if isinstance(given, Sequence) and len(given) != num_tasks:
        raise ValueError(f"{name}: expected {num_tasks} numbers, one per objective, got {given}")


class Learned(NamedTuple):
    """A parameter of a weighting and the state of its own optimizer."""

    value: Array
    opt: PyTree


def learned(value: Array, optimizer: Optimizer) -> Learned:
    """A parameter at its starting value."""
    return Learned(value, optimizer.init(value))


def descend(parameter: Learned, gradient: Array, optimizer: Optimizer) -> Learned:
    """One step of the parameter's optimizer; what a user's optimizer widens is cast back."""
    gradient = gradient.astype(parameter.value.dtype)
    update, opt = optimizer.update(gradient, parameter.opt, parameter.value)
    return Learned(optax.apply_updates(parameter.value, update), opt)  # pyright: ignore
