"""Shared and private encoders, whose features a task's head sees side by side.

Liu, Qiu, Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017; Bousmalis et
al., "Domain Separation Networks", NeurIPS 2016 (which adds the two where these are concatenated).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    run,
)
from gan_mtl.losses.sharing import orthogonality
from gan_mtl.types import Array, Coefficient, Loss, Network, Objective


def shared_private(
    tasks: Tasks, shared: Network, private: Network, *, gamma: Coefficient = 0.0
) -> Architecture:
    """Features [S(x), H_k(x)]: flattened, or of pyramids the channels of every map side by side.

    Args:
        shared: S; group `trunk`.
        private: H_k; groups `trunk/<task>`.
        gamma: weight of the rows `orthogonality/<task>`, which keep the two encoders of a task from
            saying the same, in both; 0 leaves them out.
    """
    penalised = gamma != 0

    def forward(variables, images, wanted, context):
        common, variables = run(variables, shared, "trunk", images, context=context)
        features, losses = {}, {}
        for t in wanted:
            own, variables = run(variables, private, f"trunk/{t}", images, context=context)
            features[t] = _side_by_side(common, own)
            if penalised:
                value = orthogonality(_flat(common), _flat(own), context.axis_name)
                losses[f"orthogonality/{t}"] = Loss(value)
        return Represented(features, losses), variables

    rows = {
        f"orthogonality/{t}": Objective({"trunk": gamma, f"trunk/{t}": gamma}, penalty=True)
        for t in tasks
    }
    return from_forward(
        tasks, forward, lambda t: ("trunk", f"trunk/{t}"), rows if penalised else None
    )


def _side_by_side(common: Any, own: Any) -> Any:
    if isinstance(common, tuple):
        pairs = zip(common, own, strict=True)
        return tuple(jnp.concatenate(pair, axis=-1) for pair in pairs)
    return jnp.concatenate([_flat(common), _flat(own)], axis=-1)


def _flat(features: Any) -> Array:
    """All features of an example in one row, those of a pyramid map after map."""
    rows = [x.reshape(x.shape[0], -1) for x in jax.tree.leaves(features)]
    return jnp.concatenate(rows, axis=-1)
