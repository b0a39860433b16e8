"""Multi-gate mixture of experts.

Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts",
KDD 2018.
"""

from __future__ import annotations

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    numbered,
    run_gates,
)
from gan_mtl.types import Network


def mmoe(tasks: Tasks, experts: tuple[Network, ...], gate: Network) -> Architecture:
    """f^k(x) = sum_i g^k(x)_i f_i(x) (section 4.2): experts for all, a gate per task.

    Args:
        experts: f_i, of one shape of features, arrays or pyramids; groups `experts/<i>`, shared.
        gate: `(images, experts' features) -> mixed`, `nets.SoftmaxMixture`; groups `gate/<task>`.
    """

    def forward(variables, images, wanted, context):
        mixed, variables = run_gates(variables, experts, gate, images, wanted, context)
        return Represented(mixed), variables

    return from_forward(tasks, forward, lambda t: (*numbered("experts", experts), f"gate/{t}"))
