"""DCGAN: every size and channel count, normalisations, gradients, device independence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.nets.dcgan import SMALLEST
from gan_mtl.types import Context

KEY = jax.random.key(11)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def _shape(network, *inputs):
    def run(*inputs):
        return network.apply(network.init(KEY, *inputs), *inputs, context=CONTEXT)[0]

    return jax.eval_shape(run, *inputs).shape


@pytest.mark.parametrize("size", sorted(SMALLEST))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(size, channels):
    generator = compiled(nets.DCGANGenerator(size, channels, width=4))
    assert _shape(generator, jnp.ones((2, 10))) == (2, size, size, channels)
    trunk = compiled(nets.DCGANTrunk(size, width=4, minibatch_std=True, group_size=2))
    depth = {8: 2, 16: 2, 28: 2, 32: 3, 64: 4, 128: 5}[size]
    features = SMALLEST[size] ** 2 * 4 * 2 ** (depth - 1)
    assert _shape(trunk, jnp.ones((2, size, size, channels))) == (2, features)


def test_the_paper_sized_generator():
    """64 pixels and width 128 give the 4x4x1024 start of figure 1."""
    network = compiled(nets.DCGANGenerator(64, 3, width=128))
    params = jax.eval_shape(lambda z: network.init(KEY, z), jnp.ones((1, 100)))["params"]
    assert params["Dense_0"]["kernel"].shape == (100, 4 * 4 * 1024)
    kernels = [params[f"ConvTranspose_{i}"]["kernel"].shape[2:] for i in range(3)]
    assert kernels == [(512, 1024), (256, 512), (128, 256)]
    assert params["out"]["kernel"].shape == (4, 4, 3, 128)


@pytest.mark.parametrize("norm", ["batch", None])
@pytest.mark.parametrize(("output", "low"), [("tanh", -1), ("sigmoid", 0)])
def test_generator_runs_with_a_condition(norm, output, low):
    network = compiled(nets.DCGANGenerator(8, 2, 4, output=output, norm=norm))
    z = jax.random.normal(KEY, (4, 6))
    variables = network.init(KEY, z, jnp.eye(4))
    images, new = network.apply(variables, z, jnp.eye(4), context=CONTEXT)
    assert bool(((images > low) & (images < 1)).all()) and images.dtype == jnp.float32
    assert set(new) == ({"batch_stats"} if norm else set())


def test_initialisers_are_the_papers():
    variables = compiled(nets.DCGANGenerator(28, 1)).init(KEY, jnp.ones((2, 100)))
    params = variables["params"]
    assert abs(float(params["ConvTranspose_0"]["kernel"].std()) - 0.02) < 5e-4
    scale = params["BatchNorm_0"]["norm"]["scale"]
    assert abs(float(scale.mean()) - 1) < 0.01 and abs(float(scale.std()) - 0.02) < 0.005


@pytest.mark.parametrize("norm", [None, "batch", "spectral"])
def test_every_parameter_of_the_trunk_has_a_gradient(norm):
    network = compiled(nets.DCGANTrunk(8, 4, norm=norm, minibatch_std=True))
    x = jax.random.normal(KEY, (4, 8, 8, 1))
    variables = network.init(KEY, x)

    def loss(params):
        features, _ = network.apply({**variables, "params": params}, x, context=CONTEXT)
        return jnp.sum(jnp.arange(features.size).reshape(features.shape) * features)

    gradients = jax.grad(loss)(variables["params"])
    assert all(bool((g != 0).any()) for g in jax.tree.leaves(gradients))


def test_gradient_penalty_has_a_gradient():
    network = compiled(nets.DCGANTrunk(8, 4, kernel_init=nets.lecun))
    x = jax.random.normal(KEY, (2, 8, 8, 1))
    variables = network.init(KEY, x)

    def penalty(params):
        def logit(x):
            return network.apply({"params": params}, x, context=CONTEXT)[0].sum()

        return jnp.sum(jax.grad(logit)(x) ** 2)

    gradients = jax.jit(jax.grad(penalty))(variables["params"])
    assert bool((gradients["trunk"]["Conv_0"]["kernel"] != 0).any())


@pytest.mark.slow
def test_pmap_equals_jit():
    with jax.enable_x64(True):
        z = jax.random.normal(KEY, (16, 5), jnp.float64)
        network = compiled(nets.DCGANGenerator(8, 1, 4))
        variables = network.init(KEY, z)
        whole, new = jax.jit(lambda z: network.apply(variables, z, context=CONTEXT))(z)
        parts, split = jax.pmap(
            lambda z: network.apply(variables, z, context=CONTEXT._replace(axis_name="data")),
            axis_name="data",
        )(z.reshape(8, 2, 5))
        np.testing.assert_allclose(parts.reshape(whole.shape), whole, atol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-12), split, new)


def test_errors_name_value_and_remedy():
    with pytest.raises(
        ValueError, match=r"DCGANGenerator: size=30 is not one of 8, 16, 28.*resize"
    ):
        compiled(nets.DCGANGenerator(30, 1)).init(KEY, jnp.ones((2, 10)))
    with pytest.raises(ValueError, match=r"images of shape \(2, 28, 28, 1\) for size=32"):
        compiled(nets.DCGANTrunk(32)).init(KEY, jnp.ones((2, 28, 28, 1)))
    with pytest.raises(ValueError, match="norm='spectral' is not None or one of 'batch'"):
        compiled(nets.DCGANGenerator(8, 1, norm="spectral")).init(KEY, jnp.ones((2, 10)))


@pytest.mark.parametrize("size", [8, 16, 28])
def test_a_generator_without_channels_ends_where_heads_begin(size):
    body = compiled(nets.DCGANGenerator(size, None, width=6))
    head = compiled(nets.DCGANHead(3, width=4))
    hidden = _shape(body, jnp.ones((2, 5)))
    assert hidden == (2, size // 2, size // 2, 6)
    assert _shape(head, jnp.ones(hidden)) == (2, size, size, 3)
    whole = compiled(nets.DCGANGenerator(size, 3, width=6))
    params, more = (
        jax.eval_shape(lambda z, n=n: n.init(KEY, z), jnp.ones((2, 5)))["params"]
        for n in (body, whole)
    )
    assert set(more) - set(params) == {"out"}


def test_a_head_has_images_in_range_and_statistics():
    head = compiled(nets.DCGANHead(1, width=4, output="sigmoid"))
    hidden = jax.random.normal(KEY, (4, 3, 3, 2))
    variables = head.init(KEY, hidden)
    images, new = head.apply(variables, hidden, context=CONTEXT)
    assert images.shape == (4, 6, 6, 1) and bool(((images > 0) & (images < 1)).all())
    assert set(new) == {"batch_stats"}
    assert variables["params"]["ConvTranspose_0"]["kernel"].shape == (4, 4, 4, 2)
