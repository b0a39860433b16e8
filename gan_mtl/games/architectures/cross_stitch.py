"""Cross-stitch networks: a network per task, whose activations are mixed after every stage.

Misra, Shrivastava, Gupta, Hebert, "Cross-stitch Networks for Multi-task Learning", CVPR 2016.
"""

from __future__ import annotations

from typing import Any

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    run,
)
from gan_mtl.types import Network


def cross_stitch(
    tasks: Tasks, stages: tuple[Network, ...], stitch: Network, *, pyramid: bool = False
) -> Architecture:
    """x_i <- sum_j alpha_ij x_j after every stage (equation 1), the last one before the heads.

    Every task's objective reaches every trunk, so trunks and all units but the last are shared.

    Args:
        stages: of a task's trunk, in order; groups `trunk/<task>/<stage>`.
        stitch: `(own, others) -> mixed`, `nets.CrossStitch`; a task's row of the unit after a stage
            is the group `stitch/<task>/<stage>`. The paper trains it 100 to 1000 times faster than
            the rest: give these groups an optimizer of their own.
        pyramid: whether a task's features are its mixed activations after every stage, from fine to
            coarse, for heads on maps; or those after the last stage.
    """
    last = len(stages) - 1

    def forward(variables, images, wanted, context):
        outputs = {t: images for t in tasks}
        maps: dict[str, tuple[Any, ...]] = {t: () for t in wanted}
        for s, stage in enumerate(stages):
            for t in tasks:
                outputs[t], variables = run(
                    variables, stage, f"trunk/{t}/{s}", outputs[t], context=context
                )
            mixed = {}
            for t in tasks if s < last else wanted:
                others = tuple(outputs[other] for other in tasks if other != t)
                mixed[t], variables = run(
                    variables, stitch, f"stitch/{t}/{s}", outputs[t], others, context=context
                )
            outputs = mixed
            maps = {t: (*maps[t], mixed[t]) for t in wanted}
        found: dict[str, Any] = maps if pyramid else outputs
        return Represented(found), variables

    def groups(task):
        trunks = tuple(f"trunk/{t}/{s}" for t in tasks for s in range(len(stages)))
        units = tuple(f"stitch/{t}/{s}" for t in tasks for s in range(last))
        return (*trunks, *units, f"stitch/{task}/{last}")

    return from_forward(tasks, forward, groups)
