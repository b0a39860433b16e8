"""DSelect-k: a differentiable gate that chooses k of the experts.

Hazimeh et al., "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications to
Multi-Task Learning", NeurIPS 2021, arXiv 2106.03760.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    numbered,
    run_gates,
)
from gan_mtl.types import Coefficient, Loss, Network, Objective

EPSILON = 1e-6  # inside the logarithm, as in the authors' code


def dselect_k(
    tasks: Tasks,
    experts: tuple[Network, ...],
    gate: Network,
    *,
    entropy: Coefficient = 0.0,
    reach: float = 1.0,
) -> Architecture:
    """A mixture of experts with a sparse gate per task.

    Args:
        experts: of one shape of features, arrays or pyramids; groups `experts/<i>`, shared.
        gate: `(images, experts' features) -> (mixed, selectors)`, `nets.DSelectMixture`; groups
            `gate/<task>`.
        entropy: weight of the rows `entropy/<task>`, `selection_entropy` of the task's gate, which
            drives every selector to one expert (the authors' code takes 1e-6).
        reach: weight of the rows `reach/<task>`, the authors' term 1 / (what a selector gives to
            experts that exist), played only where their number is no power of 2.

    The authors' code sums both terms over the batch; here they are means over examples, as losses.
    """
    rows = {}
    if entropy != 0:
        rows["entropy"] = (selection_entropy, entropy)
    if len(experts) & (len(experts) - 1):
        rows["reach"] = (unreached, reach)

    def forward(variables, images, wanted, context):
        found, variables = run_gates(variables, experts, gate, images, wanted, context)
        losses = {
            f"{name}/{t}": Loss(f(selectors))
            for t, (_, selectors) in found.items()
            for name, (f, _) in rows.items()
        }
        return Represented({t: mixed for t, (mixed, _) in found.items()}, losses), variables

    objectives = {
        f"{name}/{t}": Objective({f"gate/{t}": weight}, penalty=True)
        for t in tasks
        for name, (_, weight) in rows.items()
    }
    return from_forward(
        tasks, forward, lambda t: (*numbered("experts", experts), f"gate/{t}"), objectives
    )


def selection_entropy(selectors: Float[Array, "*n k experts"]) -> Float[Array, " *n"]:
    """The entropies of the k selectors, summed: 0 where each has chosen one expert."""
    return -(selectors * jnp.log(selectors + EPSILON)).sum(axis=(-2, -1))


def unreached(selectors: Float[Array, "*n k experts"]) -> Float[Array, " *n"]:
    """sum_i 1 / sum_e selectors_ie: k where no selector points at codes without an expert."""
    return (1 / selectors.sum(axis=-1)).sum(axis=-1)
