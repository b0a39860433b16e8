"""BatchNorm: moments of the global batch under pmap and jit, running averages, float32 state."""

import jax
import jax.numpy as jnp
import numpy as np
from nets.compiled import compiled

from gan_mtl.nets.batch_norm import BatchNorm
from gan_mtl.types import Context

KEY = jax.random.key(2)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_normalises_and_averages_as_numpy_says():
    x = jax.random.normal(KEY, (8, 3, 3, 2)) * 3 + 1
    network = compiled(BatchNorm())
    variables = network.init(KEY, x)
    out, new = network.apply(variables, x, context=CONTEXT)
    mean, var = np.asarray(x).mean((0, 1, 2)), np.asarray(x).var((0, 1, 2))
    np.testing.assert_allclose(out, (np.asarray(x) - mean) / np.sqrt(var + 1e-5), atol=1e-4)
    stats = new["batch_stats"]["norm"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-4)
    out, new = network.apply(variables, x, context=CONTEXT._replace(train=False))
    np.testing.assert_allclose(out, x / np.sqrt(1 + 1e-5), rtol=1e-5)
    assert new == {}


def test_pmap_equals_jit_in_values_gradients_and_statistics():
    with jax.enable_x64(True):
        x = jax.random.normal(KEY, (16, 5), jnp.float64)
        network = compiled(BatchNorm())
        variables = network.init(KEY, x)
        w = jax.random.normal(jax.random.key(3), (16, 5), jnp.float64)

        def loss(params, x, w, context):
            out, new = network.apply({**variables, "params": params}, x, context=context)
            return (w * out**2).sum(), (out, new)

        def split(x, w):
            context = CONTEXT._replace(axis_name="data")
            grads, aux = jax.grad(loss, has_aux=True)(variables["params"], x, w, context)
            return jax.lax.psum(grads, "data"), aux

        grads, (out, new) = jax.jit(
            lambda x, w: jax.grad(loss, has_aux=True)(variables["params"], x, w, CONTEXT)
        )(x, w)
        parts = jax.pmap(split, axis_name="data")(x.reshape(8, 2, 5), w.reshape(8, 2, 5))
        np.testing.assert_allclose(parts[1][0].reshape(16, 5), out, atol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-12), parts[0], grads)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-12), parts[1][1], new)


def test_bfloat16_keeps_float32_statistics():
    x = jax.random.normal(KEY, (8, 5))
    network = compiled(BatchNorm(dtype=jnp.bfloat16))
    variables = network.init(KEY, x)
    _, new = network.apply(variables, x, context=CONTEXT)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((variables, new))} == {"float32"}
