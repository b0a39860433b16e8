"""MLP generator and trunk: sizes, conditions, noise, hidden features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(9)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


@pytest.mark.parametrize("output_shape", [(2,), (28, 28, 1), (4, 5, 3)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_generator_shapes_and_range(output_shape, batch_norm):
    network = compiled(
        nets.MLPGenerator((16, 8), output_shape, output="sigmoid", batch_norm=batch_norm)
    )
    z = jax.random.normal(KEY, (4, 10))
    variables = network.init(KEY, z)
    images, new = network.apply(variables, z, context=CONTEXT)
    assert images.shape == (4, *output_shape)
    assert bool(((images > 0) & (images < 1)).all())
    assert bool(new) is batch_norm


def test_condition_stands_beside_the_latents():
    network = compiled(nets.MLPGenerator((8,), (3,)))
    z, condition = jnp.ones((4, 10)), jnp.eye(4)
    variables = network.init(KEY, z, condition)
    assert variables["params"]["Dense_0"]["kernel"].shape == (14, 8)
    one, _ = network.apply(variables, z, condition, context=CONTEXT)
    other, _ = network.apply(variables, jnp.concatenate([z, condition], 1), context=CONTEXT)
    np.testing.assert_array_equal(one, other)
    assert bool((one[0] != one[1]).any())


def test_generator_refuses_labels_in_place_of_embeddings():
    network = compiled(nets.MLPGenerator((8,), (3,)))
    with pytest.raises(ValueError, match=r"condition of shape \(5,\).*ClassEmbedding"):
        network.init(KEY, jnp.ones((4, 10)), jnp.zeros(5, jnp.int32))
    with pytest.raises(ValueError, match=r"latents of shape \(4, 2, 5\)"):
        network.init(KEY, jnp.ones((4, 2, 5)))


def test_trunk_in_closed_form_with_hidden_layers():
    network = compiled(nets.MLPTrunk((5, 4), return_hidden=True))
    x = jax.random.normal(KEY, (3, 2, 2, 1))
    variables = network.init(KEY, x)
    (features, hidden), _ = network.apply(variables, x, context=CONTEXT)
    params = jax.tree.map(np.asarray, variables["params"])
    h = np.asarray(x).reshape(3, 4)
    for name, ours in zip(("Dense_0", "Dense_1"), hidden, strict=True):
        h = h @ params[name]["kernel"] + params[name]["bias"][None]
        h = np.maximum(h, 0.2 * h)
        np.testing.assert_allclose(ours, h, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features, hidden[-1])


@pytest.mark.parametrize(
    "extra",
    [
        {"input_noise": 0.3, "hidden_noise": 0.5},
        {"dropout": 0.5},
        {"kernel_norm": "spectral"},
        {"kernel_norm": "weight", "train_scale": False},
    ],
)
def test_trunk_variants_are_deterministic_in_evaluation(extra):
    network = compiled(nets.MLPTrunk((8, 4), **extra))
    x = jax.random.normal(KEY, (3, 6))
    variables = network.init(KEY, x)
    one, _ = network.apply(variables, x, context=CONTEXT)
    assert one.shape == (3, 4)
    context = CONTEXT._replace(train=False)
    one, _ = network.apply(variables, x, context=context)
    two, _ = network.apply(variables, x, context=context.fold("other"))
    np.testing.assert_array_equal(one, two)


def test_trunk_refuses_no_layers():
    with pytest.raises(ValueError, match=r"widths=\(\)"):
        compiled(nets.MLPTrunk(())).init(KEY, jnp.ones((2, 3)))
