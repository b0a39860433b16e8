"""Parameter transfer: groups that start from another task's parameters, and stay near them.

Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional
Networks", ICML 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gan_mtl.games.architectures.architecture import Architecture
from gan_mtl.types import Array, Coefficient, Loss, Objective, PyTree


def transfer(
    architecture: Architecture,
    source: Mapping[str, Mapping[str, PyTree]],
    *,
    alpha: Coefficient = 0.0,
) -> Architecture:
    """The architecture, some groups of which start from given variables.

    With `alpha` there is the row `l2_sp`, |w - w0|^2 / 2 over these groups, and w0 is held in the
    frozen groups `start/<group>`. The new layers' term beta |w|^2 / 2 is weight decay of their
    optimizer. (`losses.l2_sp` is the same pull as part of an optimizer.)

    Args:
        source: by group of this architecture, `{"params": ..., other collections}` of the trained
            one, whatever the group's name was there.
        alpha: weight of the row; 0 leaves it out.

    Raises:
        ValueError: from `init`, for a group that the architecture has not, or has in other shapes.

    Example, of a run's state::

        trained = {"params": state.params["trunk/a"], **state.state["trunk/a"]}
        transfer(soft_sharing(("b",), trunk), {"trunk/b": trained}, alpha=0.1)
    """
    penalised = alpha != 0

    def init(key, images):
        groups = architecture.init(key, images)
        for name, variables in source.items():
            _check(name, variables, groups)
        started = {n: jax.tree.map(_as, dict(v), groups[n]) for n, v in source.items()}
        copies = {n: jax.tree.map(jnp.copy, v["params"]) for n, v in started.items()}
        held = {f"start/{n}": {"params": params} for n, params in copies.items()}
        return {**groups, **started, **(held if penalised else {})}

    def apply(variables, images, tasks, context):
        found, variables = architecture.apply(variables, images, tasks, context)
        if penalised:
            squares = [
                jnp.square(w - w0).sum() / 2
                for name in source
                for w, w0 in zip(
                    jax.tree.leaves(variables.params[name]),
                    jax.tree.leaves(variables.params[f"start/{name}"]),
                    strict=True,
                )
            ]
            losses = {**found.losses, "l2_sp": Loss(jnp.stack(squares).sum())}
            found = found._replace(losses=losses)
        return found, variables

    moved = architecture._replace(init=init, apply=apply)
    if not penalised:
        return moved
    row = Objective(dict.fromkeys(source, alpha), penalty=True)
    return moved._replace(
        objectives={**architecture.objectives, "l2_sp": row},
        frozen=(*architecture.frozen, *(f"start/{name}" for name in source)),
    )


def _as(given: Array, fresh: Array) -> Array:
    return jnp.asarray(given, fresh.dtype)


def _check(name: str, given: Mapping[str, PyTree], groups: Mapping[str, PyTree]) -> None:
    if name not in groups:
        raise ValueError(
            f"transfer: {name!r} is no group of the architecture; its groups are {sorted(groups)}."
        )
    wanted, found = (jax.tree.map(jnp.shape, dict(tree)) for tree in (groups[name], given))
    if wanted != found:
        raise ValueError(
            f"transfer: group {name!r} has the shapes {wanted}, but the source's are {found}."
        )
