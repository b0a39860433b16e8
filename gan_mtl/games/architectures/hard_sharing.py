"""Hard parameter sharing: one trunk for all tasks.

Caruana, "Multitask Learning", Machine Learning 28, 1997.
"""

from __future__ import annotations

from gan_mtl.games.architectures.architecture import Architecture, Represented, Tasks
from gan_mtl.types import Network


def hard_sharing(tasks: Tasks, trunk: Network) -> Architecture:
    """All tasks look at the features of one trunk; group `trunk`, shared."""

    def init(key, images):
        return {"trunk": trunk.init(key, images)}

    def apply(variables, images, tasks, context):
        features, variables = variables.apply(trunk, "trunk", images, context=context)
        return Represented({t: features for t in tasks}), variables

    return Architecture(tasks, init, apply, lambda task: ("trunk",), common=True)
