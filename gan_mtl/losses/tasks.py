"""Supervised losses of tasks, one value per example, and the mean over what has a label.

Where labels are missing the caller hands `types.Loss(values, mask)` on. A hidden label is -1: the
losses of classes give it 0, with gradient 0, so nothing non-finite hides behind a mask.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import log_softmax, softplus
from jaxtyping import Array, Float, Int, Num

from gan_mtl.losses._inputs import per_example_mean, rows_of, same_shape, wide

HIDDEN = -1


def cross_entropy(
    logits: Float[Array, "n k"], labels: Int[Array, " n"], label_smoothing: float = 0.0
) -> Float[Array, " n"]:
    r"""Softmax cross-entropy, :math:`-\sum_c q_c \log p_c`, in nats.

    Args:
        logits: shape [n, k].
        labels: integers 0 .. k - 1, or -1 where the label is hidden.
        label_smoothing: s in [0, 1); the target is :math:`q = (1 - s)\,\mathrm{onehot} + s / k`.

    Returns:
        One value per example: exactly 0 with gradient 0 where the label is -1, NaN for any other
        label outside 0 .. k - 1 (a fault in the data, which the run then reports).

    Example:
        >>> cross_entropy(jnp.zeros((2, 4)), jnp.array([3, -1]))
        Array([1.3862944, 0.       ], dtype=float32)
    """
    logits = rows_of("logits", logits)
    labels = jnp.asarray(labels)
    n, k = logits.shape
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels: expected integer class numbers, got dtype {labels.dtype}")
    if labels.shape != (n,):
        raise ValueError(
            f"labels: expected one class per row of logits, shape ({n},), got {labels.shape}; "
            "one-hot labels go through labels.argmax(axis=1), a column through labels[:, 0]"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: expected a number in [0, 1), got {label_smoothing}")
    visible = (labels != HIDDEN).astype(logits.dtype)
    target = (1 - label_smoothing) * jax.nn.one_hot(labels, k, dtype=logits.dtype)
    target = visible[:, None] * (target + label_smoothing / k)
    values = (target * -log_softmax(logits)).sum(axis=1)
    in_range = (labels >= HIDDEN) & (labels < k)
    return jnp.where(in_range, values, jnp.nan)


def binary_cross_entropy(
    logits: Float[Array, " n *dims"], targets: Num[Array, " n *dims"]
) -> Float[Array, " n"]:
    r"""Sigmoid cross-entropy, :math:`\mathrm{softplus}(l) - t\,l`, in nats.

    Args:
        logits: shape [n, ...].
        targets: the same shape, probabilities in [0, 1], or -1 where hidden.

    Returns:
        One value per example: the mean over an example's visible entries, 0 if it has none; NaN for
        any other target outside [0, 1].
    """
    logits = wide("logits", logits)
    targets = jnp.asarray(targets).astype(logits.dtype)
    same_shape(logits=logits, targets=targets)
    visible = targets != HIDDEN
    values = jnp.where(visible, softplus(logits) - targets * logits, 0.0)
    in_range = ~visible | ((targets >= 0) & (targets <= 1))
    values = jnp.where(in_range, values, jnp.nan)
    axes = tuple(range(1, logits.ndim))
    return values.sum(axis=axes) / jnp.maximum(visible.sum(axis=axes), 1)


def _errors(predictions: Array, targets: Array) -> Float[Array, " n *dims"]:
    predictions, targets = wide("predictions", predictions), wide("targets", targets)
    same_shape(predictions=predictions, targets=targets)
    if predictions.ndim == 0:
        raise ValueError("predictions: expected a batch of shape [n, ...], got a scalar")
    return predictions - targets


def l1(
    predictions: Float[Array, " n *dims"], targets: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    """Absolute error, the *mean* over all axes but the first."""
    return per_example_mean(jnp.abs(_errors(predictions, targets)))


def l2(
    predictions: Float[Array, " n *dims"], targets: Float[Array, " n *dims"]
) -> Float[Array, " n"]:
    """Squared error, the *mean* over all axes but the first; no factor of one half."""
    return per_example_mean(jnp.square(_errors(predictions, targets)))


def huber(
    predictions: Float[Array, " n *dims"], targets: Float[Array, " n *dims"], delta: float = 1.0
) -> Float[Array, " n"]:
    """Huber's loss, the *mean* over all axes but the first.

    `e^2 / 2` up to |e| = delta, then `delta (|e| - delta / 2)`.
    """
    if not delta > 0:
        raise ValueError(f"delta: expected a number > 0, got {delta}")
    error = jnp.abs(_errors(predictions, targets))
    near = jnp.minimum(error, delta)
    return per_example_mean(0.5 * jnp.square(near) + delta * (error - near))


def masked_mean(
    values: Float[Array, " n"], mask: Num[Array, " n"] | None = None, axis_name: str | None = None
) -> Float[Array, ""]:
    """Sum of masked values over the sum of the mask, each summed over devices; 0 if the mask is
    empty.

    Never a mean of means. Values under a zero of the mask are not looked at, be they NaN.

    Args:
        values: shape [n].
        mask: shape [n], non-negative; None is all ones.
        axis_name: the pmap axis; None under jit.
    """
    values = wide("values", values)
    mask = jnp.ones_like(values) if mask is None else jnp.asarray(mask).astype(values.dtype)
    same_shape(values=values, mask=mask)
    total, count = jnp.where(mask == 0, 0.0, values * mask).sum(), mask.sum()
    if axis_name is not None:
        total, count = jax.lax.psum((total, count), axis_name)
    return jnp.where(count > 0, total / jnp.where(count > 0, count, 1.0), 0.0)
