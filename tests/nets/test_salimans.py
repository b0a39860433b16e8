"""The semi-supervised MNIST pair: sizes, and what is trained."""

import jax
import jax.numpy as jnp
import numpy as np
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(12)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_sizes_are_the_papers():
    z = jnp.ones((2, 100))
    generator = compiled(nets.SalimansGenerator())
    params = jax.eval_shape(lambda z: generator.init(KEY, z), z)["params"]
    sizes = [params[f"Dense_{i}"]["kernel"].shape for i in range(2)]
    assert sizes == [(100, 500), (500, 500)]
    assert "scale" not in params["BatchNorm_0"]["norm"]
    assert params["WeightNormDense_0"]["kernel"].shape == (500, 784)
    trunk = compiled(nets.salimans_trunk())
    params = jax.eval_shape(lambda x: trunk.init(KEY, x), jnp.ones((2, 28, 28, 1)))["params"]
    widths = [params[f"WeightNormDense_{i}"]["kernel"].shape for i in range(5)]
    assert widths == [(784, 1000), (1000, 500), (500, 250), (250, 250), (250, 250)]


def test_pair_runs_and_inner_scales_are_not_trained():
    trunk, head = nets.salimans_trunk().clone(widths=(16, 8)), nets.salimans_head(3)
    x = jax.random.uniform(KEY, (64, 4, 4, 1))
    network, top = compiled(trunk), compiled(head)
    variables = network.init(KEY, x)
    features, _ = network.apply(variables, x, context=CONTEXT)
    logits = top.init(KEY, features)

    def loss(params, head_params):
        features, _ = network.apply({"params": params}, x, context=CONTEXT)
        out, _ = top.apply({"params": head_params}, features, context=CONTEXT)
        assert out.shape == (64, 3)
        return jnp.sum(jnp.sin(out))

    grads, top_grads = jax.grad(loss, (0, 1))(variables["params"], logits["params"])
    for layer in grads.values():
        np.testing.assert_array_equal(layer["scale"], np.zeros_like(layer["scale"]))
        assert bool((layer["kernel"] != 0).any())
    assert bool((top_grads["out"]["scale"] != 0).all())


def test_generator_images_lie_in_the_unit_interval():
    network = compiled(nets.SalimansGenerator((4, 4, 1), width=8))
    z = jax.random.uniform(KEY, (8, 10))
    images, new = network.apply(network.init(KEY, z), z, context=CONTEXT)
    assert images.shape == (8, 4, 4, 1) and bool(((images > 0) & (images < 1)).all())
    assert set(new) == {"batch_stats"}
