"""Parameter regularisers as optax transformations: chain them with the player's optimizer.

All but the last add the gradient of a term of the loss, so they stand *before* the optimizer, which
then rescales it (decoupled weight decay is `optax.add_decayed_weights` or `optax.adamw`).
`clip_weights` projects what the optimizer arrives at, so it stands *last*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_mtl.types import Array, PyTree


def _add_gradient(
    gradient: Callable[[Array], Array], leaves: tuple[str, ...] | None
) -> optax.GradientTransformation:
    """Adds `gradient(parameter)` to the updates of the leaves of these names (None: of all)."""

    def chosen(path: tuple) -> bool:
        last = path[-1] if path else None
        name = getattr(last, "key", getattr(last, "name", None))
        return leaves is None or str(name) in leaves

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None
    ) -> tuple[PyTree, PyTree]:
        if params is None:
            raise ValueError(
                "params: the regulariser needs them; call update(grads, state, params)"
            )

        def add(path: tuple, update: Array, param: Array) -> Array:
            return update + gradient(param).astype(update.dtype) if chosen(path) else update

        return jax.tree_util.tree_map_with_path(add, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name}: expected a number >= 0, got {value}")


def l1(strength: float, leaves: tuple[str, ...] | None = None) -> optax.GradientTransformation:
    """The gradient of `strength * sum |w|` (0 at w = 0).

    Args:
        strength: the coefficient, >= 0.
        leaves: names of the leaves that it concerns, e.g. `("kernel",)`; None is all of them.
    """
    _not_negative("strength", strength)
    return _add_gradient(lambda w: strength * jnp.sign(w), leaves)


def l2(strength: float, leaves: tuple[str, ...] | None = None) -> optax.GradientTransformation:
    """The gradient of `strength / 2 * sum w^2`.

    Args:
        strength: the coefficient, >= 0.
        leaves: names of the leaves that it concerns, e.g. `("kernel",)`; None is all of them.
    """
    _not_negative("strength", strength)
    return _add_gradient(lambda w: strength * w, leaves)


def l2_sp(strength: float, leaves: tuple[str, ...] | None = None) -> optax.GradientTransformation:
    """The gradient of `strength / 2 * sum (w - w0)^2`: parameters stay near where they started.

    For parameters that come from another task: w0 is what `init` is given, and is kept in the
    state, so the transfer must be done before. New layers (a head) have no starting point worth
    keeping: name the others in `leaves`, or give the new layers an optimizer with `l2`.

    Args:
        strength: alpha of the paper, >= 0.
        leaves: names of the leaves that it concerns, e.g. `("kernel",)`; None is all of them.

    Reference:
        Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional
        Networks", ICML 2018; the one half as in the authors' code.
    """
    _not_negative("strength", strength)
    pull = _add_gradient(lambda w: strength * w, leaves)

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None
    ) -> tuple[PyTree, PyTree]:
        moved = params if params is None else jax.tree.map(jnp.subtract, params, state)
        return pull.update(updates, optax.EmptyState(), moved)[0], state

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.copy, params), update)


class HistoricalState(NamedTuple):
    """count: parameters seen, shape=(), dtype=int32; mean: theirs, in float32 at least."""

    count: Array
    mean: PyTree


def historical_averaging(
    strength: float, leaves: tuple[str, ...] | None = None
) -> optax.GradientTransformation:
    r"""The gradient of :math:`\mathrm{strength} \cdot \lVert \theta_t - \bar\theta_t \rVert^2` with
    :math:`\bar\theta_t = \frac1t \sum_{i=1}^t \theta_i`: parameters stay near their past.

    The average holds the present parameters too, as the paper's sum does, and is a constant of the
    gradient, :math:`2\,\mathrm{strength}\,(\theta_t - \bar\theta_t)`. No factor of one half. The
    average lives in the state, in float32 where parameters are of half precision.

    Args:
        strength: the coefficient, >= 0.
        leaves: names of the leaves that it concerns, e.g. `("kernel",)`; None is all of them.

    Reference:
        Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016 (historical
        averaging).
    """
    _not_negative("strength", strength)
    pull = _add_gradient(lambda w: 2 * strength * w, leaves)

    def wide(w: Array) -> Array:
        return w.astype(jnp.promote_types(w.dtype, jnp.float32))

    def init(params: PyTree) -> HistoricalState:
        zeros = jax.tree.map(lambda w: jnp.zeros_like(wide(w)), params)
        return HistoricalState(jnp.zeros((), jnp.int32), zeros)

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None
    ) -> tuple[PyTree, PyTree]:
        if params is None:
            return pull.update(updates, optax.EmptyState(), params)[0], state
        count = state.count + 1
        mean = jax.tree.map(lambda m, w: m + (wide(w) - m) / count, state.mean, params)
        moved = jax.tree.map(lambda w, m: wide(w) - m, params, mean)
        return pull.update(updates, optax.EmptyState(), moved)[0], HistoricalState(count, mean)

    return optax.GradientTransformation(init, update)


def orthogonal(
    strength: float,
    variant: Literal["brock", "saxe"] = "brock",
    leaves: tuple[str, ...] | None = None,
) -> optax.GradientTransformation:
    r"""The gradient of a penalty on filters that are not orthogonal to one another.

    A kernel is a matrix W of one column per output: `[kh, kw, c, o]` becomes `[kh kw c, o]`.

    - "brock": :math:`\lVert W^T W \odot (1 - I) \rVert_F^2`, which leaves the filters' norms alone;
      its gradient is :math:`4\,W (W^T W \odot (1 - I))`.
    - "saxe": :math:`\lVert W^T W - I \rVert_F^2`, which draws the norms to 1.

    Leaves of fewer than two axes (biases, scales) are left alone; so should embeddings be: name the
    others in `leaves`.

    Args:
        strength: beta of the paper, >= 0; 1e-4 there.
        variant: which of the two.
        leaves: names of the leaves that it concerns, e.g. `("kernel",)`; None is all of them.

    Reference:
        Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image
        Synthesis", ICLR 2019. The gradient here is that of the formula; the authors' PyTorch code
        adds half of it. "saxe", the older penalty that the paper starts from, asks of training what
        the initialisation of Saxe et al., ICLR 2014, has.
    """
    _not_negative("strength", strength)
    if variant not in ("brock", "saxe"):
        raise ValueError(f"variant: expected 'brock' or 'saxe', got {variant!r}")

    def gradient(kernel: Array) -> Array:
        if kernel.ndim < 2:
            return jnp.zeros_like(kernel)
        w = kernel.reshape(-1, kernel.shape[-1])
        w = w.astype(jnp.promote_types(w.dtype, jnp.float32))
        eye = jnp.eye(w.shape[1], dtype=w.dtype)
        gram = w.T @ w
        excess = gram * (1 - eye) if variant == "brock" else gram - eye
        return (4 * strength * w @ excess).reshape(kernel.shape)

    return _add_gradient(gradient, leaves)


def clip_weights(c: float) -> optax.GradientTransformation:
    """WGAN's weight clipping: after the update, every parameter lies in [-c, c] (to rounding).

    Must be the last of a chain: it replaces the update by the one that lands in the box.

    Args:
        c: half the box's width, > 0 (0.01 in the paper).

    Example:
        >>> optimizer = optax.chain(optax.rmsprop(5e-5), clip_weights(0.01))

    Reference:
        Arjovsky, Chintala, Bottou, "Wasserstein Generative Adversarial Networks", ICML 2017,
        algorithm 1.
    """
    if not c > 0:
        raise ValueError(f"c: expected a number > 0, got {c}")

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None
    ) -> tuple[PyTree, PyTree]:
        if params is None:
            raise ValueError("params: clipping needs them; call update(grads, state, params)")
        clipped = jax.tree.map(lambda u, w: jnp.clip(w + u, -c, c) - w, updates, params)
        return clipped, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
