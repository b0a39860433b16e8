"""The named small GANs have the sizes that their names promise."""

import jax
import jax.numpy as jnp
import pytest

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(13)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def _sizes(module, x):
    network = nets.from_linen(module)
    variables = jax.eval_shape(lambda x: network.init(KEY, x), x)
    out = jax.eval_shape(lambda v, x: network.apply(v, x, context=CONTEXT)[0], variables, x)
    kernels = [leaf.shape for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1]
    return out.shape, sorted(kernels)


@pytest.mark.parametrize(
    ("generator", "trunk", "kernels", "trunk_kernels", "features"),
    [
        (nets.small_generator, nets.small_trunk, [(100, 128), (128, 784)], [(784, 128)], 128),
        (
            nets.wide_generator,
            nets.wide_trunk,
            [(100, 1024), (1024, 784), (1024, 1024)],
            [(5, 5, 1, 64), (5, 5, 64, 128), (5, 5, 128, 256), (5, 5, 256, 512)],
            2048,
        ),
        (
            nets.tapered_generator,
            nets.tapered_trunk,
            [(100, 128), (128, 256), (256, 784)],
            [(256, 128), (784, 256)],
            128,
        ),
    ],
)
def test_sizes(generator, trunk, kernels, trunk_kernels, features):
    assert _sizes(generator(), jnp.ones((2, 100))) == ((2, 28, 28, 1), sorted(kernels))
    assert _sizes(trunk(), jnp.ones((2, 28, 28, 1))) == ((2, features), trunk_kernels)


def test_multitask_trunk_gives_a_map():
    assert _sizes(nets.multitask_trunk(), jnp.ones((2, 64, 64, 3)))[0] == (2, 8, 8, 128)
