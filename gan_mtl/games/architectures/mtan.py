"""The multi-task attention network: one trunk, out of which every task takes what it attends to.

Liu, Johns, Davison, "End-To-End Multi-Task Learning with Attention", CVPR 2019.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp

from gan_mtl.games.architectures.architecture import (
    Architecture,
    Represented,
    Tasks,
    from_forward,
    run,
)
from gan_mtl.types import Network


class Block(NamedTuple):
    """A stage of the trunk in two parts: u is what `first` gives, p is what `rest` makes of u."""

    first: Network
    rest: Network


def mtan(
    tasks: Tasks,
    blocks: tuple[Block, ...],
    attention: Network,
    link: Network,
    *,
    pyramid: bool = False,
) -> Architecture:
    """â_i^j = a_i^j * p^j with a_i^j = h(g([u^j; f^j(â_i^{j-1})])) (equations 1 and 2).

    Args:
        blocks: of the trunk, in order; groups `trunk/<block>/first` and `trunk/<block>/rest`. The
            blocks are of any networks whose u and p of one block have the same height and width.
        attention: `(u, p, linked | None) -> attended`, `nets.Attention`; g and h of one task in one
            block, groups `attention/<task>/<block>`, private.
        link: `(attended, u) -> linked`, `nets.AttentionLink`: f^j, which brings what a task
            attended to in the block before to the shape of u; groups `link/<block>`, shared.
        pyramid: whether a task's features are what it attended to in every block, from fine to
            coarse, for heads on maps; or that of the last block.

    Returns:
        An architecture that can also be asked for `attention/<task>`: the masks a_i^j, one for
        every block, of the shape of its p.
    """
    shared = tuple(f"trunk/{j}/{part}" for j in range(len(blocks)) for part in Block._fields)
    shared += tuple(f"link/{j}" for j in range(1, len(blocks)))

    def forward(variables, images, wanted, context):
        p, attended = images, {}
        maps: dict[str, tuple[Any, ...]] = {t: () for t in wanted}
        for j, block in enumerate(blocks):
            u, variables = run(variables, block.first, f"trunk/{j}/first", p, context=context)
            p, variables = run(variables, block.rest, f"trunk/{j}/rest", u, context=context)
            for t in wanted:
                linked = None
                if j > 0:
                    linked, variables = run(
                        variables, link, f"link/{j}", attended[t], u, context=context
                    )
                attended[t], variables = run(
                    variables, attention, f"attention/{t}/{j}", u, p, linked, context=context
                )
                maps[t] = (*maps[t], attended[t])
        found: dict[str, Any] = maps if pyramid else attended
        return Represented(found), variables

    def masks(task, variables, images, context):
        p, attended, found = images, None, []
        for j, block in enumerate(blocks):
            u, _ = run(variables, block.first, f"trunk/{j}/first", p, context=context)
            p, _ = run(variables, block.rest, f"trunk/{j}/rest", u, context=context)
            linked = None
            if j > 0:
                linked, _ = run(variables, link, f"link/{j}", attended, u, context=context)
            inputs = u, jnp.ones_like(p), linked  # a * 1: the mask does not look at p
            mask, _ = run(variables, attention, f"attention/{task}/{j}", *inputs, context=context)
            found.append(mask)
            attended = mask * p
        return tuple(found)

    def groups(task):
        return shared + tuple(f"attention/{task}/{j}" for j in range(len(blocks)))

    plan = from_forward(tasks, forward, groups)
    return plan._replace(predict={f"attention/{t}": functools.partial(masks, t) for t in tasks})
