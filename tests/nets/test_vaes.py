"""Named pairs of encoder and decoder: sizes, shapes, and what is not squashed."""

import jax
import jax.numpy as jnp
import pytest
from nets.checks import CONTEXT, out_shape, sizes

from gan_mtl import nets

IMAGES = jnp.zeros((2, 28, 28, 1))


def test_flax_s_example_has_its_size():
    """784 - 500 - 2 x 20 and 20 - 500 - 784, biases included."""
    encoder, decoder = nets.dense_vae((28, 28, 1))
    assert sizes(encoder, IMAGES) == (784 * 500 + 500 + 500 * 40 + 40, (2, 40))
    assert sizes(decoder, jnp.zeros((2, 20))) == (20 * 500 + 500 + 500 * 784 + 784, (2, 28, 28, 1))
    deeper, back = nets.dense_vae((28, 28, 1), 5, (300, 100))
    assert (deeper.widths, back.widths) == ((300, 100), (100, 300))


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_convolutional_pairs_of_several_sizes(size, channels):
    encoder, decoder = nets.dcgan_vae(size, channels, latent=6, width=4)
    images = jnp.zeros((2, size, size, channels))
    assert out_shape(encoder, images) == (2, 12)
    assert out_shape(decoder, jnp.zeros((2, 6))) == images.shape


def test_outputs_are_squashed_where_asked_for():
    z = 100 * jax.random.normal(jax.random.key(0), (4, 3))

    def largest(output):
        network = nets.from_linen(nets.dense_vae((2, 2, 1), 3, (4,), output)[1])
        variables = network.init(jax.random.key(1), z)
        return float(jnp.abs(network.apply(variables, z, context=CONTEXT)[0]).max())

    assert largest("none") > 5 > 1 >= largest("tanh")
