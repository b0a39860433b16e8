"""Dense, Conv, ConvTranspose and ClassEmbedding against Flax's layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(7)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
IMAGES = jax.random.normal(KEY, (2, 7, 6, 3))


@pytest.mark.parametrize(
    ("ours", "flax"),
    [
        (nets.Conv(5, 3), nn.Conv(5, (3, 3))),
        (nets.Conv(5, 4, stride=2), nn.Conv(5, (4, 4), (2, 2))),
        (nets.Conv(5, 5, stride=2), nn.Conv(5, (5, 5), (2, 2))),
        (nets.ConvTranspose(5), nn.ConvTranspose(5, (4, 4), (2, 2), transpose_kernel=True)),
        (nets.ConvTranspose(5, 3, 2), nn.ConvTranspose(5, (3, 3), (2, 2), transpose_kernel=True)),
        (nets.ConvTranspose(5, 5, 3), nn.ConvTranspose(5, (5, 5), (3, 3), transpose_kernel=True)),
    ],
)
def test_equals_flax_with_the_same_parameters(ours, flax):
    network = compiled(ours)
    variables = network.init(KEY, IMAGES)
    variables["params"]["bias"] = jnp.arange(5.0)
    out, _ = network.apply(variables, IMAGES, context=CONTEXT)
    np.testing.assert_allclose(out, flax.apply(variables, IMAGES), rtol=1e-5, atol=1e-5)


def test_transposed_kernels_are_drawn_for_what_they_read():
    """LeCun's variance is 1 / (kh kw c) for c channels in, whatever the layout."""
    x = jnp.ones((1, 4, 4, 64))
    kernel = compiled(nets.ConvTranspose(2)).init(KEY, x)["params"]["kernel"]
    assert kernel.shape == (4, 4, 2, 64)
    assert abs(float(kernel.std()) * (16 * 64) ** 0.5 - 1) < 0.1


def test_dense_equals_flax_for_the_same_key():
    x = jax.random.normal(KEY, (3, 4))
    network = compiled(nets.Dense(2))
    variables = network.init(KEY, x)
    np.testing.assert_allclose(
        network.apply(variables, x, context=CONTEXT)[0], nn.Dense(2).apply(variables, x), rtol=1e-6
    )
    assert "bias" not in compiled(nets.Dense(2, use_bias=False)).init(KEY, x)["params"]


def test_leaky_relu_has_slope_two_tenths():
    np.testing.assert_allclose(nets.leaky_relu(jnp.array([-1.0, 2.0])), [-0.2, 2.0])


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint8"])
def test_class_embedding_looks_up_and_refuses_by_nan(dtype):
    network = compiled(nets.ClassEmbedding(3, 4))
    variables = network.init(KEY, jnp.array([0, 1]))
    out, _ = network.apply(variables, jnp.array([2, 0, 3], dtype), context=CONTEXT)
    np.testing.assert_array_equal(out[:2], variables["params"]["embedding"][jnp.array([2, 0])])
    assert bool(jnp.isnan(out[2]).all())


@pytest.mark.parametrize("label", [-1, -2, -3, -4, 3, 200])
def test_class_embedding_does_not_count_from_the_end(label):
    """Hidden labels are -1: not the last class."""
    network = compiled(nets.ClassEmbedding(3, 4))
    variables = network.init(KEY, jnp.array([0, 1]))
    out, _ = network.apply(variables, jnp.array([label, 1]), context=CONTEXT)
    np.testing.assert_array_equal(jnp.isnan(out), [[True] * 4, [False] * 4])


def test_a_hidden_label_of_a_narrow_dtype_is_outside_of_many_classes():
    network = compiled(nets.ClassEmbedding(200, 2))
    variables = network.init(KEY, jnp.array([0, 1]))
    out, _ = network.apply(variables, jnp.array([-1, 127], jnp.int8), context=CONTEXT)
    np.testing.assert_array_equal(jnp.isnan(out), [[True] * 2, [False] * 2])


def test_convolutions_refuse_what_is_not_images():
    with pytest.raises(ValueError, match=r"Conv: inputs of shape \(2, 3\) .* \[n, height"):
        compiled(nets.Conv(4)).init(KEY, jnp.ones((2, 3)))
