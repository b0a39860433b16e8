"""PixelDA's generator: every layer in NumPy, latents as a channel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_devices,
    check_gradients,
    convolved,
    count,
    out_shape,
)
from nets.compiled import compiled

from gan_mtl import nets

SMALL = nets.ResidualTranslator(2, width=3, blocks=2, kernel_init=nets.lecun)
X = jax.random.normal(KEY, (4, 4, 5, 2))
Z = jax.random.normal(jax.random.key(1), (4, 3))


def normalised(x, layer):
    axes = tuple(range(x.ndim - 1))
    unit = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + 1e-5)
    return unit * np.asarray(layer["norm"]["scale"]) + np.asarray(layer["norm"]["bias"])


@pytest.mark.parametrize("latents", [(), (Z,)])
def test_every_layer_by_hand(latents):
    network = compiled(SMALL)
    variables = network.init(KEY, *latents, X)
    layers, x = variables["params"], np.asarray(X, np.float64)
    if latents:
        z = np.asarray(Z) @ np.asarray(layers["latents"]["kernel"])
        z = np.maximum(normalised(z, layers["latents_norm"]), 0)
        x = np.concatenate([x, z.reshape(4, 4, 5, 1)], axis=-1)
    x = np.maximum(convolved(x, layers["first"]), 0)
    for i in range(2):
        y = normalised(convolved(x, layers[f"conv_{i}_0"]), layers[f"norm_{i}_0"])
        y = convolved(np.maximum(y, 0), layers[f"conv_{i}_1"])
        x = x + normalised(y, layers[f"norm_{i}_1"])
    wanted = np.tanh(convolved(x, layers["out"]))
    made, new = network.apply(variables, *latents, X, context=CONTEXT)
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)
    assert set(new) == {"batch_stats"}


def test_other_latents_make_another_image():
    network = compiled(SMALL)
    variables = network.init(KEY, Z, X)
    one, two = (network.apply(variables, z, X, context=CONTEXT)[0] for z in (Z, Z[::-1]))
    assert one.shape == X.shape and float(jnp.abs(one - two).max()) > 1e-3


def test_its_parameters():
    """10 latents, 28x28 in colour, six blocks."""
    block = 2 * (9 * 64 * 64 + 2 * 64)
    first, latents = 9 * 4 * 64 + 64, 10 * 28 * 28 + 2 * 28 * 28
    module = nets.ResidualTranslator(3, blocks=6)
    found = count(module, jnp.ones((2, 10)), jnp.ones((2, 28, 28, 3)))
    assert found == latents + first + 6 * block + 64 * 3 + 3


def test_gradients_bfloat16_and_devices():
    check_gradients(SMALL, Z, X)
    check_bfloat16(SMALL, X)
    check_devices(SMALL, Z, X)


@pytest.mark.parametrize("inputs", [(X, Z), (Z, Z, X), (Z,)])
def test_bad_input_is_refused(inputs):
    with pytest.raises(ValueError, match=r"ResidualTranslator: inputs of shapes .*; give images"):
        out_shape(SMALL, *inputs)
