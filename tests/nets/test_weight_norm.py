"""Weight normalisation: the closed form, both initialisations, and which parts are trained."""

import jax
import jax.numpy as jnp
import numpy as np
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_equals_a_dense_layer_at_first():
    x = jax.random.normal(KEY, (4, 5))
    network = compiled(nets.WeightNormDense(3))
    variables = network.init(KEY, x)
    out, _ = network.apply(variables, x, context=CONTEXT)
    np.testing.assert_allclose(out, x @ variables["params"]["kernel"], rtol=1e-5)


def test_length_is_g_whatever_v_is():
    x = jnp.eye(5)
    network = compiled(nets.WeightNormDense(3))
    params = network.init(KEY, x)["params"]
    params = {**params, "kernel": params["kernel"] * 7, "scale": jnp.array([1.0, 2.0, 3.0])}
    w, _ = network.apply({"params": params}, x, context=CONTEXT)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), [1, 2, 3], rtol=1e-5)


def test_data_dependent_initialisation_standardises_every_layer():
    x = jax.random.normal(KEY, (256, 5)) * 3 + 2
    network = compiled(nets.WeightNormDense(3, data_init=True))
    out, _ = network.apply(network.init(KEY, x), x, context=CONTEXT)
    np.testing.assert_allclose(out.mean(0), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(out.std(0), np.ones(3), rtol=1e-4)
    trunk = compiled(nets.MLPTrunk((8, 8), lambda x: x, kernel_norm="weight", data_init=True))
    features, _ = trunk.apply(trunk.init(KEY, x), x, context=CONTEXT)
    np.testing.assert_allclose(features.std(0), np.ones(8), rtol=1e-3)


def test_data_dependent_initialisation_survives_a_constant_batch():
    network = compiled(nets.WeightNormDense(3, data_init=True))
    params = network.init(KEY, jnp.ones((1, 5)))["params"]
    np.testing.assert_array_equal(params["scale"], np.ones(3))


def test_gradient_is_orthogonal_to_v_and_g_may_be_left_out():
    x = jax.random.normal(KEY, (4, 5))
    for train_scale in (True, False):
        network = compiled(nets.WeightNormDense(3, train_scale=train_scale))
        params = network.init(KEY, x)["params"]
        gradient = jax.grad(
            lambda p, n=network: jnp.sum(jnp.sin(n.apply({"params": p}, x, context=CONTEXT)[0]))
        )(params)
        inner = jnp.sum(gradient["kernel"] * params["kernel"], axis=0)
        np.testing.assert_allclose(inner, np.zeros(3), atol=1e-5)
        assert bool((gradient["scale"] != 0).all()) is train_scale
