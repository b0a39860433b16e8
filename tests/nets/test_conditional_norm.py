"""Conditional and self-modulated batch normalisation against float64 NumPy."""

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
    spectral_kernels,
)
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.nets.conditional_norm import generator_norm

X = 3 + 2 * jax.random.normal(KEY, (6, 4, 3, 5))
LABELS = jnp.array([0, 2, 1, 0, 2, 2])
ONE_HOT = jax.nn.one_hot(LABELS, 3)
Z = jax.random.normal(KEY, (6, 7))


def _normalised(x):
    x = np.asarray(x, np.float64)
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)


@pytest.mark.parametrize("x", [X, X[:, 0, 0]], ids=["maps", "vectors"])
def test_one_hot_labels_look_up_a_table_of_gains_and_biases(x):
    network = compiled(nets.ConditionalBatchNorm(bias_init=nets.lecun))
    variables = network.init(KEY, x, ONE_HOT)
    out, new = network.apply(variables, x, ONE_HOT, context=CONTEXT)
    gains = 1 + np.asarray(variables["params"]["gain"]["kernel"], np.float64)
    biases = np.asarray(variables["params"]["bias"]["kernel"], np.float64)
    expected = _normalised(x)
    for n, label in enumerate(LABELS):
        expected[n] = expected[n] * gains[label] + biases[label]
    np.testing.assert_allclose(out, expected, rtol=2e-4, atol=2e-5)
    moved = new["batch_stats"]["BatchNorm_0"]["norm"]["mean"]
    np.testing.assert_allclose(moved, 0.1 * x.mean(tuple(range(x.ndim - 1))), rtol=1e-5)


def test_self_modulation_is_an_mlp_of_the_latents():
    network = compiled(nets.SelfModulatedBatchNorm(4, kernel_init=nets.lecun))
    variables = network.init(KEY, X, Z)
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    params["gamma"]["bias"] = np.linspace(-1, 1, 5)
    params["beta"]["bias"] = np.linspace(0, 2, 5)
    params["hidden"]["bias"] = np.linspace(-0.5, 0.5, 4)
    variables = {**variables, "params": jax.tree.map(jnp.float32, params)}
    out, _ = network.apply(variables, X, Z, context=CONTEXT)

    def layer(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"]

    h = np.maximum(layer("hidden", np.asarray(Z, np.float64)), 0)
    gamma, beta = (layer(name, h)[:, None, None] for name in ("gamma", "beta"))
    np.testing.assert_allclose(out, _normalised(X) * (1 + gamma) + beta, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", [nets.ConditionalBatchNorm, nets.SelfModulatedBatchNorm])
def test_is_plain_batch_normalisation_at_first_and_uses_averages_in_evaluation(kind):
    module = kind(**{"gain_init" if kind is nets.ConditionalBatchNorm else "kernel_init": _zeros})
    network = compiled(module)
    variables = network.init(KEY, X, Z)
    out, new = network.apply(variables, X, Z, context=CONTEXT)
    np.testing.assert_allclose(out, _normalised(X), rtol=1e-3, atol=1e-4)
    still = CONTEXT._replace(train=False)
    out, none = network.apply({**variables, **new}, X, Z, context=still)
    stats = new["batch_stats"]["BatchNorm_0"]["norm"]
    expected = (X - stats["mean"][None, None, None]) / np.sqrt(
        stats["var"][None, None, None] + 1e-5
    )
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    assert none == {}


def _zeros(key, shape, dtype=jnp.float32):
    return jnp.zeros(shape, dtype)


@pytest.mark.parametrize("kind", [nets.ConditionalBatchNorm, nets.SelfModulatedBatchNorm])
def test_gradients_bfloat16_and_devices(kind):
    check_gradients(kind(), X, Z)
    check_bfloat16(kind(), X, Z)
    check_devices(kind(), X, Z, rtol=1e-8)


def test_spectral_norm_of_every_kernel():
    assert spectral_kernels(nets.ConditionalBatchNorm(spectral=True), X, Z) == (2, 2)
    assert spectral_kernels(nets.SelfModulatedBatchNorm(spectral=True), X, Z) == (3, 3)
    assert spectral_kernels(nets.SelfModulatedBatchNorm(), X, Z) == (3, 0)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"condition of shape \(6,\) .* one vector per example"):
        compiled(nets.ConditionalBatchNorm()).init(KEY, X, LABELS)
    with pytest.raises(ValueError, match="norm='layer' is not None, 'batch', 'conditional'"):
        generator_norm("layer", X, Z, CONTEXT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"norm='self' without a condition; hand it one"):
        generator_norm("self", X, None, CONTEXT)
