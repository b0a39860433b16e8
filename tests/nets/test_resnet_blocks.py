"""Residual blocks: resizing against loops, shortcuts, and what each block computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_gradients, out_shape, spectral_kernels
from nets.compiled import compiled

from gan_mtl.nets.resnet_blocks import GeneratorBlock, TrunkBlock, mean_pool, upsample

X = jax.random.normal(KEY, (3, 4, 6, 5))


def test_resizing_equals_loops():
    big, small = upsample(X), mean_pool(X)
    assert big.shape == (3, 8, 12, 5) and small.shape == (3, 2, 3, 5)
    for i in range(8):
        for j in range(12):
            np.testing.assert_array_equal(big[:, i, j], X[:, i // 2, j // 2])
    for i in range(2):
        for j in range(3):
            window = np.asarray(X[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], np.float64)
            np.testing.assert_allclose(small[:, i, j], window.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_pool(big), X, rtol=1e-6)


def test_mean_pool_refuses_odd_sizes():
    with pytest.raises(ValueError, match="maps of 4x5 pixels cannot be halved"):
        mean_pool(X[:, :, :5])


def _conv(layer, x, size):
    """A 'SAME' convolution of stride 1 by shifted sums, in float64."""
    kernel = np.asarray(layer["kernel"], np.float64)
    pad = size // 2
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    h, w = x.shape[1:3]
    taps = [
        padded[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(size) for j in range(size)
    ]
    return sum(taps) + np.asarray(layer["bias"], np.float64)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("wide", "hidden"), [(False, 5), (True, 7)])
def test_a_trunk_block_is_its_formula(first, wide, hidden):
    network = compiled(TrunkBlock(7, first=first, wide=wide))
    variables = network.init(KEY, X)
    params = variables["params"]
    assert params["Conv_0"]["kernel"].shape == (3, 3, 5, 7 if first else hidden)
    out, _ = network.apply(variables, X, context=CONTEXT)
    x = np.asarray(X, np.float64)
    h = x if first else np.maximum(x, 0)
    h = np.maximum(_conv(params["Conv_0"], h, 3), 0)
    residual = np.asarray(mean_pool(jnp.asarray(_conv(params["Conv_1"], h, 3))))
    shortcut = np.asarray(mean_pool(jnp.asarray(_conv(params["shortcut"], x, 1))))
    np.testing.assert_allclose(out, residual + shortcut, rtol=1e-4, atol=1e-4)


def test_a_generator_block_is_its_formula():
    network = compiled(GeneratorBlock(7, norm=None))
    variables = network.init(KEY, X)
    params = variables["params"]
    out, _ = network.apply(variables, X, context=CONTEXT)
    x = np.asarray(upsample(X), np.float64)
    h = _conv(params["Conv_0"], np.maximum(x, 0), 3)
    h = _conv(params["Conv_1"], np.maximum(h, 0), 3)
    np.testing.assert_allclose(out, h + _conv(params["shortcut"], x, 1), rtol=1e-4, atol=1e-4)


def test_without_change_of_size_and_channels_the_shortcut_is_the_input():
    for block in (GeneratorBlock(5, up=False), TrunkBlock(5, down=False)):
        variables = compiled(block).init(KEY, X)
        assert "shortcut" not in variables["params"]
        variables["params"]["Conv_1"]["kernel"] *= 0
        np.testing.assert_array_equal(compiled(block).apply(variables, X, context=CONTEXT)[0], X)
    assert out_shape(TrunkBlock(8, down=False), X) == (3, 4, 6, 8)


def test_gradients_and_spectral_norm():
    condition = jax.random.normal(KEY, (3, 2))
    check_gradients(GeneratorBlock(4, norm="conditional"), X, condition)
    check_gradients(TrunkBlock(4, spectral=True), X)
    block = GeneratorBlock(4, norm="conditional", spectral=True)
    assert spectral_kernels(block, X, condition) == (7, 7)
    assert spectral_kernels(TrunkBlock(4, spectral=True), X) == (3, 3)
