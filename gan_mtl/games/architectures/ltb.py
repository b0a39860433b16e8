"""Learning to branch: layers of nodes, in which every node chooses whose child it is.

Guo, Lee, Ulbricht, "Learning to Branch for Multi-Task Learning", ICML 2020, arXiv 2006.01895.
"""

from __future__ import annotations

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    numbered,
    run,
)
from gan_mtl.types import Network


def ltb(tasks: Tasks, layers: tuple[tuple[Network, ...], ...], branch: Network) -> Architecture:
    """A tree between one trunk and a network per task, chosen while it is trained.

    The first layer's nodes look at the images; every later node, and every task, looks at one node
    of the layer before. Where that has a single node there is nothing to choose, and no unit.

    Args:
        layers: nodes per layer, of one shape of features each; groups `nodes/<layer>/<i>`.
        branch: `(parents' features) -> chosen`, `nets.Branch`; groups `branch/<layer>/<i>` of
            nodes and `branch/<task>` of tasks.
    """

    def choose(variables, group, parents, context):
        if len(parents) == 1:
            return parents[0], variables
        return run(variables, branch, group, parents, context=context)

    def forward(variables, images, wanted, context):
        parents = (images,)
        for depth, nodes in enumerate(layers):
            children = []
            for i, node in enumerate(nodes):
                x, variables = choose(variables, f"branch/{depth}/{i}", parents, context)
                x, variables = run(variables, node, f"nodes/{depth}/{i}", x, context=context)
                children.append(x)
            parents = tuple(children)
        features = {}
        for t in wanted:
            features[t], variables = choose(variables, f"branch/{t}", parents, context)
        return Represented(features), variables

    def groups(task):
        found: list[str] = []
        for depth, nodes in enumerate(layers):
            found += numbered(f"nodes/{depth}", nodes)
            if depth > 0 and len(layers[depth - 1]) > 1:
                found += numbered(f"branch/{depth}", nodes)
        return (*found, f"branch/{task}") if len(layers[-1]) > 1 else tuple(found)

    return from_forward(tasks, forward, groups)
