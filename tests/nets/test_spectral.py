"""Spectral normalisation against the singular value decomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(4)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
LAYERS = {
    "dense": (nets.Dense(6, spectral=True), (4, 9)),
    "conv": (nets.Conv(6, 3, spectral=True), (2, 5, 5, 4)),
}


def _sigma(kernel):
    return np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_power_iteration_converges_to_the_largest_singular_value():
    w = jax.random.normal(KEY, (20, 7))
    sigma, u = nets.power_iteration(w, jnp.ones(7), steps=100)
    np.testing.assert_allclose(sigma, _sigma(w), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(w @ u), _sigma(w), rtol=1e-5)


def test_gradient_of_sigma_is_the_outer_product():
    w = jax.random.normal(KEY, (5, 3))
    left, _, right = np.linalg.svd(np.asarray(w))
    gradient = jax.grad(lambda w: nets.power_iteration(w, jnp.ones(3), steps=200)[0])(w)
    np.testing.assert_allclose(gradient, np.outer(left[:, 0], right[0]), atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_kernel_has_norm_one_after_some_passes(name):
    layer, shape = LAYERS[name]
    network = compiled(layer)
    x = jax.random.normal(KEY, shape)
    variables = network.init(KEY, x)
    for _ in range(60):
        variables.update(network.apply(variables, x, context=CONTEXT)[1])
    kernel = variables["params"]["kernel"]
    plain = compiled(layer.clone(spectral=False))
    normalised = {"params": {**variables["params"], "kernel": kernel / _sigma(kernel)}}
    expected, _ = plain.apply(normalised, x, context=CONTEXT)
    for context in (CONTEXT, CONTEXT._replace(train=False)):
        out, _ = network.apply(variables, x, context=context)
        np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4)


def test_training_moves_u_by_one_iteration_and_evaluation_freezes_it():
    layer, shape = LAYERS["dense"]
    network = compiled(layer)
    x = jax.random.normal(KEY, shape)
    variables = network.init(KEY, x)
    variables["spectral"] = {"u": jnp.eye(6)[0]}
    _, new = network.apply(variables, x, context=CONTEXT)
    w = np.asarray(variables["params"]["kernel"])
    expected = w.T @ w[:, 0]
    np.testing.assert_allclose(new["spectral"]["u"], expected / np.linalg.norm(expected), rtol=1e-5)
    _, new = network.apply(variables, x, context=CONTEXT._replace(train=False))
    assert new == {}


def test_weight_is_orthogonal_to_its_gradient():
    """The loss does not depend on the kernel's scale, so <W, dL/dW> = 0."""
    layer, shape = LAYERS["conv"]
    network = compiled(layer)
    x = jax.random.normal(KEY, shape)
    variables = network.init(KEY, x)

    def loss(kernel):
        params = {**variables["params"], "kernel": kernel}
        return jnp.sum(
            jnp.sin(network.apply({**variables, "params": params}, x, context=CONTEXT)[0])
        )

    kernel = variables["params"]["kernel"]
    gradient = jax.grad(loss)(kernel)
    assert abs(float(jnp.vdot(kernel, gradient))) < 1e-4 * float(jnp.linalg.norm(gradient))
    assert float(jnp.linalg.norm(gradient)) > 1e-3


def test_first_sigma_is_already_close():
    layer, shape = LAYERS["dense"]
    variables = compiled(layer).init(KEY, jnp.ones(shape))
    kernel, u = variables["params"]["kernel"], variables["spectral"]["u"]
    np.testing.assert_allclose(np.linalg.norm(kernel @ u), _sigma(kernel), rtol=0.02)
