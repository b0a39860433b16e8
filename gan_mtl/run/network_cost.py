"""What a network costs: its parameters, and the operations of an answer of all heads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_mtl import parallel
from gan_mtl.data import Split
from gan_mtl.types import Array, Batch, Context, Game, Variables, starting

IMAGES = 16  # of the program whose operations are counted


def answers(game: Game) -> Callable[[Variables, Array], dict[str, Any]]:
    """The function from images, as training saw them, to what all task heads say of them.

    Compiled as one program it passes once through what heads share.
    """
    context = Context(jax.random.key(0), jnp.zeros((), jnp.int32), train=False)

    def answer(variables: Variables, images: Array) -> dict[str, Any]:
        heads = [name for name in game.predict if f"heads/{name}" in variables.params]
        return {name: game.predict[name](variables, images, context) for name in heads}

    return answer


def network_cost(game: Game, split: Split) -> dict[str, Any]:
    """Parameters of all groups, and operations of one image's answers by every head together.

    Operations are XLA's count (a multiplication and an addition are two) of one compiled program
    that asks all heads, so that what they share is counted once.

    Args:
        game: with heads in `predict`.
        split: whose images and targets the game is for; values are not looked at.
    """
    images = jax.ShapeDtypeStruct((IMAGES, *split.images.shape[1:]), jnp.float32)
    batch: Batch = {
        "images": images,
        **{
            name: jax.ShapeDtypeStruct((IMAGES, *x.shape[1:]), x.dtype)
            for name, x in {"labels": split.labels, **split.targets}.items()
        },
    }
    groups = jax.eval_shape(game.init, jax.random.key(0), batch)
    params = {name: group["params"] for name, group in groups.items()}
    variables = starting(groups)
    program = parallel.compile_function(answers(game)).lower(variables, images).compile()
    analysis: Any = program.cost_analysis()
    return {
        "parameters": sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)),
        "operations_per_image": float(analysis["flops"]) / IMAGES,
    }
