"""Shared and private encoders, whose features a task's head sees side by side.

Liu, Qiu, Huang, "Adversarial Multi-task Learning for Text Classification", ACL 2017; Bousmalis et
al., "Domain Separation Networks", NeurIPS 2016 (which adds the two where these are concatenated).
"""

from __future__ import annotations

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
    """Features [S(x), H_k(x)], flattened.

    Args:
        shared: S; group `trunk`.
        private: H_k; groups `trunk/<task>`.
        gamma: weight of the rows `orthogonality/<task>`, which keep the two encoders of a task from
            saying the same, in both; 0 leaves them out.
    """
    penalised = gamma != 0

    def forward(variables, images, wanted, context):
        common, variables = run(variables, shared, "trunk", images, context=context)
        common = _flat(common)
        features, losses = {}, {}
        for t in wanted:
            own, variables = run(variables, private, f"trunk/{t}", images, context=context)
            own = _flat(own)
            features[t] = jnp.concatenate([common, own], axis=-1)
            if penalised:
                value = orthogonality(common, own, context.axis_name)
                losses[f"orthogonality/{t}"] = Loss(value)
        return Represented(features, losses), variables

    rows = {
        f"orthogonality/{t}": Objective({"trunk": gamma, f"trunk/{t}": gamma}, penalty=True)
        for t in tasks
    }
    return from_forward(
        tasks, forward, lambda t: ("trunk", f"trunk/{t}"), rows if penalised else None
    )


def _flat(features: Array) -> Array:
    return features.reshape(features.shape[0], -1)
