"""StyleGAN2's layers against explicit loops over examples in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients
from nets.compiled import compiled
from nets.test_resample import between_zeros, fir

from gan_mtl.nets.modulated_conv import (
    EqualizedConv,
    EqualizedDense,
    ModulatedConv,
    modulated_conv,
    scaled_leaky_relu,
    second_moment_normalised,
)

X = jax.random.normal(KEY, (3, 4, 5, 6))
W = jax.random.normal(jax.random.key(1), (3, 7))
STYLES = 1 + 0.5 * jax.random.normal(jax.random.key(2), (3, 6))


def correlate(x, kernel, stride=1):
    """'VALID' correlation by loops over taps."""
    k = kernel.shape[0]
    h, w = x.shape[0] - k + 1, x.shape[1] - k + 1
    taps = [x[i : i + h, j : j + w] @ kernel[i, j] for i in range(k) for j in range(k)]
    return np.sum(taps, axis=0)[::stride, ::stride]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [True, False])
def test_every_example_is_convolved_with_its_own_kernel(size, up, demodulate):
    kernel = jax.random.normal(jax.random.key(3), (size, size, 6, 4))
    out = modulated_conv(X, kernel, STYLES, demodulate=demodulate, up=up)
    pad = size // 2
    for n in range(3):
        own = np.asarray(kernel, np.float64) * np.asarray(STYLES[n], np.float64)[:, None]
        if demodulate:
            own = own / np.sqrt((own**2).sum((0, 1, 2)) + 1e-8)
        if up:
            x = 4 * fir(between_zeros(X[n : n + 1]), 2 + pad, 1 + pad)[0]
        else:
            x = np.pad(np.asarray(X[n], np.float64), ((pad, pad), (pad, pad), (0, 0)))
        np.testing.assert_allclose(out[n], correlate(x, own), rtol=1e-4, atol=1e-4)


def test_demodulated_outputs_have_variance_one():
    """For inputs of variance 1, whatever the styles and the scale of the kernel."""
    x = jax.random.normal(KEY, (2, 34, 34, 16))
    kernel = 7 * jax.random.normal(jax.random.key(3), (3, 3, 16, 24))
    styles = jnp.stack([jnp.linspace(0.1, 5, 16), jnp.linspace(40, 3, 16)])
    out = modulated_conv(x, kernel, styles)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(out.var(axis=(1, 2, 3)), 1.0, atol=0.05)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_dense_layers_learn_equally_fast(multiplier):
    module = EqualizedDense(300, multiplier, bias_init=2.0)
    network = compiled(module)
    variables = network.init(KEY, W)
    params = variables["params"]
    assert abs(float(params["kernel"].std()) * multiplier - 1) < 0.05
    out, _ = network.apply(variables, W, context=CONTEXT)
    kernel = np.asarray(params["kernel"], np.float64) * multiplier / np.sqrt(7)
    np.testing.assert_allclose(out, np.asarray(W) @ kernel + 2 * multiplier, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("down", [False, True])
def test_equalised_convolutions(size, down):
    x = X[:, :, :4]
    network = compiled(EqualizedConv(5, size, down, activate=False))
    variables = network.init(KEY, x)
    out, _ = network.apply(variables, x, context=CONTEXT)
    kernel = np.asarray(variables["params"]["kernel"], np.float64) / np.sqrt(size**2 * 6)
    pad = size // 2
    for n in range(3):
        if down:
            filtered = fir(x[n : n + 1], 1 + pad, 1 + pad)[0]
            expected = correlate(filtered, kernel, 2)
        else:
            padded = np.pad(np.asarray(x[n], np.float64), ((pad, pad), (pad, pad), (0, 0)))
            expected = correlate(padded, kernel)
        np.testing.assert_allclose(out[n], expected, rtol=1e-4, atol=1e-5)


def test_activation_and_normalisation():
    np.testing.assert_allclose(
        scaled_leaky_relu(jnp.array([-1.0, 0.0, 2.0])), np.sqrt(2) * np.array([-0.2, 0, 2]), 1e-6
    )
    np.testing.assert_allclose(jnp.mean(second_moment_normalised(W) ** 2, axis=1), 1.0, rtol=1e-5)


def test_gradients_and_bfloat16():
    check_gradients(ModulatedConv(4, up=True), X, W)
    check_bfloat16(ModulatedConv(4), X, W)
