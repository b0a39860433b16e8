"""What a discriminator looks at, and whether it knows its training examples by heart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike


class Gap(NamedTuple):
    """auc: how often a training example has the higher logit of a pair, ties counted half.
    standard_error: of that.
    """

    auc: float
    standard_error: float


def input_gradients(
    logits: Callable[[Array], Array], images: Float[Array, "n ..."]
) -> Float[Array, "n ..."]:
    """The gradient of each image's logit with respect to its values: a map of what moves it.

    Args:
        logits: `[n, ...] -> [n]`, in evaluation mode: each from its own image alone (with batch
            statistics the gradients of others' logits would be added).
        images: shape [n, ...].

    Raises:
        ValueError: where `logits` gives another shape.
    """

    def total(x: Array) -> Array:
        values = logits(x)
        if values.shape != x.shape[:1]:
            raise ValueError(f"logits: expected shape ({len(x)},), got {values.shape}")
        return values.sum()

    return jax.grad(total)(images)


def logit_gap(training: ArrayLike, held_out: ArrayLike) -> Gap:
    """Whether logits tell training reals from held-out reals: 0.5 if they do not.

    The Mann-Whitney statistic, so that no monotonic change of the logits matters, with DeLong's
    standard error. Above 0.5 the discriminator overfits: it feeds the generator what holds of the
    training examples only.

    Args:
        training: logits of reals that it was trained on, shape [n], n >= 2.
        held_out: logits of reals from the same source that it has not seen, shape [m], m >= 2.

    Raises:
        ValueError: other shapes, or nan.

    Reference:
        DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver
        operating characteristic curves: a nonparametric approach", Biometrics 1988.
    """
    a, b = np.asarray(training, np.float64), np.asarray(held_out, np.float64)
    for name, values in (("training", a), ("held_out", b)):
        if values.ndim != 1 or len(values) < 2:
            raise ValueError(f"{name}: expected shape [n] with n >= 2, got {values.shape}")
        if np.isnan(values).any():
            raise ValueError(f"{name}: expected numbers, found nan")
    above, below = _placements(a, b), 1 - _placements(b, a)
    variance = above.var(ddof=1) / len(a) + below.var(ddof=1) / len(b)
    return Gap(float(above.mean()), math.sqrt(variance))


def _placements(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """The share of b that lies below each of a, ties counted half."""
    ordered = np.sort(b)
    low, high = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    return (low + high) / (2 * len(b))
