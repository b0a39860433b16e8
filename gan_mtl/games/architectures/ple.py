"""Customized gate control and progressive layered extraction: experts of all, and of each task.

Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
Personalized Recommendations", RecSys 2020.
"""

from __future__ import annotations

from typing import NamedTuple

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    numbered,
    run,
    run_all,
)
from gan_mtl.types import Network


class Level(NamedTuple):
    """One extraction network: experts for all tasks, and the experts that every task has."""

    shared: tuple[Network, ...]
    private: tuple[Network, ...]


def cgc(
    tasks: Tasks, shared: tuple[Network, ...], private: tuple[Network, ...], gate: Network
) -> Architecture:
    """Customized gate control (section 4.1): a single level of `ple`.

    Args:
        shared: experts of all tasks; groups `experts/0/<i>`.
        private: experts that each task has of its own; groups `experts/0/<task>/<i>`.
        gate: as for `ple`.
    """
    return ple(tasks, (Level(shared, private),), gate)


def ple(tasks: Tasks, levels: tuple[Level, ...], gate: Network) -> Architecture:
    """Progressive layered extraction (section 4.2).

    At level j a task's experts look at g^{k,j-1}, the shared ones at g^{s,j-1} (the images, at the
    first level). A task's gate mixes its experts and the shared ones, the shared gate those of all
    tasks; each sees what its own experts saw. The last level has no shared gate. (LibMTL has none
    at all, and lets shared experts look at every task's features in turn.)

    Through the shared gates a task's objective reaches the experts of the others at all levels but
    the last: only there are they private.

    Args:
        levels: of experts, in order; groups `experts/<level>/<i>`, `experts/<level>/<task>/<i>`.
        gate: `(inputs, experts' features) -> mixed`, `nets.SoftmaxMixture`; groups
            `gate/<level>/<task>`, `gate/<level>` for the shared one.
    """
    last = len(levels) - 1

    def forward(variables, images, wanted, context):
        shared, private = images, {t: images for t in tasks}
        for j, level in enumerate(levels):
            own = {}
            common, variables = run_all(variables, level.shared, f"experts/{j}", shared, context)
            for t in tasks if j < last else wanted:
                own[t], variables = run_all(
                    variables, level.private, f"experts/{j}/{t}", private[t], context
                )
            for t in own:
                private[t], variables = run(
                    variables, gate, f"gate/{j}/{t}", private[t], own[t] + common, context=context
                )
            if j < last:
                everything = sum(own.values(), ()) + common
                shared, variables = run(
                    variables, gate, f"gate/{j}", shared, everything, context=context
                )
        return Represented({t: private[t] for t in wanted}), variables

    def groups(task):
        found = []
        for j, level in enumerate(levels):
            found += numbered(f"experts/{j}", level.shared)
            for t in tasks:
                if j < last or t == task:
                    found += numbered(f"experts/{j}/{t}", level.private)
                if j < last - 1 or t == task:  # the others' features go on to their own experts
                    found.append(f"gate/{j}/{t}")
            if j < last:
                found.append(f"gate/{j}")
        return tuple(found)

    return from_forward(tasks, forward, groups)
