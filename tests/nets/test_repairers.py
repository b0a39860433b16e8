"""Networks that repair: shapes, a U-Net by hand, the blend with what is shown, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_gradients,
    convolved,
    out_shape,
    sizes,
)
from nets.compiled import compiled

from gan_mtl import nets

IMAGES = jnp.zeros((2, 8, 12, 3))
HOLE = jnp.zeros((2, 8, 12, 1))


def test_shapes():
    pixels = 8 * 12
    dense = 4 * pixels * 5 + 5 + 5 * 6 * pixels + 6 * pixels
    assert sizes(nets.DenseRepairer((5,)), IMAGES, HOLE) == (dense, IMAGES.shape)
    for widths in ((4,), (4, 6), (2, 3, 5)):
        assert out_shape(nets.UNetRepairer(widths), IMAGES, HOLE) == IMAGES.shape


def test_every_pixel_chooses_between_what_is_shown_and_what_is_new():
    """Without weights: new is s(b), gated by s(g)."""
    images = jax.random.uniform(jax.random.key(0), (2, 2, 2, 1))
    hole = jnp.ones((2, 2, 2, 1))
    network = nets.from_linen(nets.DenseRepairer((3,)))
    shapes = jax.eval_shape(network.init, jax.random.key(1), images, hole)
    bias = np.tile(np.array([1.0, 30.0], np.float32), 4)

    @jax.jit
    def made(bias):
        variables = jax.tree.map(lambda x: jnp.zeros(x.shape), shapes)
        variables["params"]["out"]["bias"] = bias
        return network.apply(variables, images, hole, context=CONTEXT)[0]

    np.testing.assert_allclose(made(bias), images, rtol=1e-6)
    np.testing.assert_allclose(made(-bias), np.full(images.shape, 1 / (1 + np.e)), rtol=1e-5)
    half = made(0 * bias)
    np.testing.assert_allclose(half, images / 2 + 0.25, rtol=1e-6)


def test_the_unet_by_hand():
    """Halved by strides, doubled by copies, maps of every size across; every layer in NumPy."""
    images = jax.random.uniform(KEY, (2, 4, 8, 1))
    hole = (jax.random.uniform(jax.random.key(1), (2, 4, 8, 1)) > 0.5).astype(float)
    network = compiled(nets.UNetRepairer((2, 3, 4)))
    variables = network.init(KEY, images, hole)
    layers = variables["params"]
    names = iter(f"Conv_{i}" for i in range(5))

    def relu(x, stride=1):
        return np.maximum(convolved(x, layers[next(names)], stride), 0)

    fine = relu(np.concatenate([images, hole], axis=-1))
    middle = relu(fine, 2)
    x = relu(middle, 2)
    for across in (middle, fine):
        x = np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)
        x = relu(np.concatenate([x, across], axis=-1))
    new, gate = np.split(1 / (1 + np.exp(-convolved(x, layers["out"]))), 2, axis=-1)
    wanted = gate * np.asarray(images) + (1 - gate) * new
    made, _ = network.apply(variables, images, hole, context=CONTEXT)
    np.testing.assert_allclose(made, wanted, rtol=1e-5)


@pytest.mark.parametrize("module", [nets.DenseRepairer((5,)), nets.UNetRepairer((4, 6))])
def test_gradients_and_bfloat16(module):
    images = jax.random.uniform(KEY, (2, 4, 4, 1))
    check_gradients(module, images, jnp.ones((2, 4, 4, 1)))
    check_bfloat16(module, images, jnp.ones((2, 4, 4, 1)))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"DenseRepairer: images of shape \(2, 8, 12, 3\) with a"):
        out_shape(nets.DenseRepairer(), IMAGES, HOLE[..., 0])
    with pytest.raises(ValueError, match="8 x 12 pixels with 4 widths; sides must be multiples of"):
        out_shape(nets.UNetRepairer((2, 2, 2, 2)), IMAGES, HOLE)
