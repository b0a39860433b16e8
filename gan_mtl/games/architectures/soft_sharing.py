"""Soft parameter sharing: a network per task, and a tie between their parameters.

Duong, Cohn, Bird, Cook, "Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a
Neural Network Parser", ACL 2015; Yang & Hospedales, "Trace Norm Regularised Deep Multi-Task
Learning", ICLR workshop 2017, arXiv 1606.04038.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    run,
)
from gan_mtl.losses.sharing import trace_norm
from gan_mtl.types import Coefficient, Loss, Network, Objective, PyTree

Tie = Callable[[list[PyTree]], Array]
Flattening = Literal["last", "tucker", "tt"]


def soft_sharing(
    tasks: Tasks, trunk: Network, *, tie: Tie | None = None, weight: Coefficient = 1.0
) -> Architecture:
    """A trunk per task, all private; without a tie these are single-task networks.

    Args:
        trunk: of every task, with parameters of its own; groups `trunk/<task>`.
        tie: `(parameters of every task) -> scalar`: `l2_tie`, `trace_norm_tie`; the row `tie`.
        weight: of the row.
    """

    def forward(variables, images, wanted, context):
        features = {}
        for t in wanted:
            features[t], variables = run(variables, trunk, f"trunk/{t}", images, context=context)
        losses = {}
        if tie is not None:
            losses["tie"] = Loss(tie([variables.of(f"trunk/{t}")["params"] for t in tasks]))
        return Represented(features, losses), variables

    row = Objective({f"trunk/{t}": weight for t in tasks}, penalty=True)
    objectives = None if tie is None else {"tie": row}
    return from_forward(tasks, forward, lambda t: (f"trunk/{t}",), objectives)


def l2_tie(params: list[PyTree]) -> Float[Array, ""]:
    """sum_{i<j} |w_i - w_j|^2 / 2 over all parameters (Duong et al., for two)."""
    pairs = itertools.combinations(params, 2)
    halves = (jax.tree.map(lambda a, b: jnp.square(a - b).sum() / 2, a, b) for a, b in pairs)
    return _total([leaf for tree in halves for leaf in jax.tree.leaves(tree)])


def trace_norm_tie(params: list[PyTree], flattening: Flattening = "last") -> Float[Array, ""]:
    """The tensor trace norm of every parameter, stacked over tasks along a last axis, summed.

    Args:
        flattening: of the stacked tensor W into matrices, whose trace norms are added: "last": the
            one of a column per task; "tucker": one per axis; "tt": all cuts of the axes into first
            and last ones (Yang & Hospedales; the summands have weight 1, as in their code).
    """
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *params)
    norms = functools.partial(_trace_norms, flattening=flattening)
    return _total([norm for leaf in jax.tree.leaves(stacked) for norm in norms(leaf)])


def _trace_norms(w: Array, flattening: Flattening) -> list[Array]:
    if flattening == "last":
        return [trace_norm(w.reshape(-1, w.shape[-1]))]
    if flattening == "tucker":
        axes = range(w.ndim)
        return [trace_norm(jnp.moveaxis(w, k, 0).reshape(w.shape[k], -1)) for k in axes]
    if flattening == "tt":
        return [trace_norm(w.reshape(math.prod(w.shape[:k]), -1)) for k in range(1, w.ndim)]
    raise ValueError(f"flattening={flattening!r} is not 'last', 'tucker' or 'tt'.")


def _total(values: list[Array]) -> Float[Array, ""]:
    return jnp.stack(values).sum() if values else jnp.zeros(())
