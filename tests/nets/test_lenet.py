"""The LeNet for two digits: shapes, parameters, padding and channel dropout."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_shapes_and_parameters_are_those_of_the_published_network():
    trunk, head = nets.from_linen(nets.LeNetTrunk()), nets.from_linen(nets.LeNetHead())
    x = jnp.ones((2, 28, 28, 1))
    variables = trunk.init(KEY, x)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert count == (25 * 10 + 10) + (25 * 10 * 20 + 20) + (320 * 50 + 50)
    features, _ = trunk.apply(variables, x, context=CONTEXT)
    own = head.init(KEY, features)
    assert sum(leaf.size for leaf in jax.tree.leaves(own)) == (50 * 50 + 50) + (50 * 10 + 10)
    assert head.apply(own, features, context=CONTEXT)[0].shape == (2, 10)


def test_convolution_without_padding_and_its_gradients():
    draw = np.random.default_rng(0)
    x, kernel = draw.normal(size=(3, 9, 8, 2)), draw.normal(size=(5, 5, 2, 4))
    x, kernel = x.astype(np.float32), kernel.astype(np.float32)

    def ours(x, kernel):
        return jnp.sin(nets.layers.conv.conv(x, kernel, (1, 1), "VALID")).sum()

    def theirs(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout)
        return jnp.sin(y).sum()

    found = jax.jit(jax.value_and_grad(ours, argnums=(0, 1)))(x, kernel)
    expected = jax.jit(jax.value_and_grad(theirs, argnums=(0, 1)))(x, kernel)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_whole_channels_are_dropped():
    layer = nets.from_linen(nets.Dropout(0.5, channels=True))
    x = jnp.ones((16, 3, 3, 8))
    y, _ = layer.apply(layer.init(KEY, x), x, context=CONTEXT)
    values = np.asarray(y)
    np.testing.assert_array_equal(values, np.broadcast_to(values[:, :1, :1], values.shape))
    assert set(np.unique(values)) == {0.0, 2.0}
    assert 0.3 < (values[:, 0, 0] == 0).mean() < 0.7
    assert not np.array_equal(values[0], values[1])
