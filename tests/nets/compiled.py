"""Networks for tests: one compilation per pass in place of one per operation."""

import functools

import jax

from gan_mtl import nets
from gan_mtl.types import Context, Network


def compiled(module, **keywords) -> Network:
    """`nets.from_linen(module)` with init and apply under jit."""
    init, apply = nets.from_linen(module, **keywords)

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def run(train, rest, key, step, variables, *inputs):
        return apply(variables, *inputs, context=Context(key, step, train, *rest))

    def apply_compiled(variables, *inputs, context):
        key, step, train, *rest = context
        return run(train, tuple(rest), key, step, variables, *inputs)

    return Network(jax.jit(init), apply_compiled)
