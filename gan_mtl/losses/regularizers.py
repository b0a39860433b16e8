"""Parameter regularisers as optax transformations: chain them with the player's optimizer.

`l1`, `l2` and `l2_sp` add the gradient of a term of the loss, so they stand *before* the optimizer,
which then rescales it (decoupled weight decay is `optax.add_decayed_weights` or `optax.adamw`).
`clip_weights` projects what the optimizer arrives at, so it stands *last*.
"""

from __future__ import annotations

from collections.abc import Callable

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
