"""What the tests of networks ask of each of them."""

import jax
import jax.numpy as jnp
import numpy as np
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(20)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def convolved(x, layer, stride=1):
    """A convolution with "SAME" padding in NumPy, place by place.

    Args:
        x: shape [n, h, w, c].
        layer: its `kernel`, and `bias` if it has one.
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(layer["kernel"], np.float64)
    rows, columns = kernel.shape[:2]
    sizes, pads = [], [(0, 0)]
    for side, window in zip(x.shape[1:3], (rows, columns), strict=True):
        sizes.append(-(-side // stride))
        missing = max((sizes[-1] - 1) * stride + window - side, 0)
        pads.append((missing // 2, missing - missing // 2))
    x = np.pad(x, (*pads, (0, 0)))
    out = np.zeros((x.shape[0], *sizes, kernel.shape[3]))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            top, left = i * stride, j * stride
            window = x[:, top : top + rows, left : left + columns]
            out[:, i, j] = np.einsum("nabc,abco->no", window, kernel)
    return out + np.asarray(layer.get("bias", 0.0))


def shapes(module, *inputs):
    """The shapes of a module's variables and of its outputs, without any computation."""

    def run(*inputs):
        rngs = {"params": KEY, "draws": KEY}
        return module.init_with_output(rngs, *inputs, context=CONTEXT)

    out, variables = jax.eval_shape(run, *inputs)
    return variables, out


def out_shape(module, *inputs):
    """The shape of the output."""
    return shapes(module, *inputs)[1].shape


def count(module, *inputs):
    """The number of parameters."""
    return sizes(module, *inputs)[0]


def sizes(module, *inputs):
    """The number of parameters, and the shape of the output."""
    variables, out = shapes(module, *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"])), out.shape


def check_gradients(module, *inputs, dead=()):
    """Gradients of a random functional of the output: finite, and none of a leaf all zero.

    Args:
        dead: parts of the names of parameters that may have no gradient.
    """
    init, apply = nets.from_linen(module)

    @jax.jit
    def gradients(*inputs):
        variables = init(KEY, *inputs)

        def loss(params):
            out, _ = apply({**variables, "params": params}, *inputs, context=CONTEXT)
            leaves = jax.tree.leaves(out)
            return sum(
                jnp.sum(jax.random.normal(jax.random.key(i), x.shape) * x)
                for i, x in enumerate(leaves)
            )

        return jax.grad(loss)(variables["params"])

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients(*inputs)):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert bool(jnp.isfinite(leaf).all()), name
        if not any(part in name for part in dead):
            assert bool((leaf != 0).any()), f"{name} has no gradient"


def check_bfloat16(module, *inputs):
    """Parameters stay float32, outputs come out float32, finite and near those of float32."""
    network, narrow = compiled(module), compiled(module.clone(dtype=jnp.bfloat16))
    variables = narrow.init(KEY, *inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"])} == {jnp.dtype("float32")}
    coarse = narrow.apply(variables, *inputs, context=CONTEXT)[0]
    fine = network.apply(variables, *inputs, context=CONTEXT)[0]
    for a, b in zip(jax.tree.leaves(coarse), jax.tree.leaves(fine), strict=True):
        assert a.dtype == b.dtype == jnp.float32
        scale = float(jnp.abs(b).max()) + 1e-6
        np.testing.assert_allclose(a / scale, b / scale, atol=0.15)


def check_devices(module, *inputs, rtol=1e-9):
    """Two devices under pmap give what one gives under jit, in float64."""
    with jax.enable_x64(True):
        inputs = [
            x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x for x in inputs
        ]
        init, apply = nets.from_linen(module)
        variables = jax.jit(init)(KEY, *inputs)
        whole, new = jax.jit(lambda *x: apply(variables, *x, context=CONTEXT))(*inputs)
        split = [x.reshape(2, x.shape[0] // 2, *x.shape[1:]) for x in inputs]
        parts, states = jax.pmap(
            lambda *x: apply(variables, *x, context=CONTEXT._replace(axis_name="data")),
            axis_name="data",
            devices=jax.devices()[:2],
        )(*split)

        def same(a, b):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=rtol, atol=rtol)

        jax.tree.map(same, parts, whole)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-9), states, new)


def spectral_kernels(module, *inputs):
    """How many kernels there are (with embeddings), and how many have a spectral vector."""
    variables, _ = shapes(module, *inputs)
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    names = [jax.tree_util.keystr(path[-1:], simple=True) for path, _ in leaves]
    kernels = sum(name in ("kernel", "embedding") for name in names)
    return kernels, len(jax.tree.leaves(variables.get("spectral", {})))
