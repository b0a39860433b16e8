"""Heads: shapes that do not broadcast, projection in closed form, squashing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.nets.outputs import linear, squash
from gan_mtl.types import Context

KEY = jax.random.key(8)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
FEATURES = jax.random.normal(KEY, (6, 2, 3))


@pytest.mark.parametrize(("out", "shape"), [(None, (6,)), (1, (6,)), (10, (6, 10))])
@pytest.mark.parametrize("kernel_norm", [None, "weight", "spectral"])
def test_head_shapes(out, shape, kernel_norm):
    network = compiled(nets.Head(out, widths=(5,), kernel_norm=kernel_norm))
    variables = jax.eval_shape(network.init, KEY, FEATURES)
    logits = jax.eval_shape(lambda v: network.apply(v, FEATURES, context=CONTEXT)[0], variables)
    assert logits.shape == shape


def test_head_noise_only_in_training():
    network = compiled(nets.Head(noise=0.5))
    variables = network.init(KEY, FEATURES)
    kernel = variables["params"]["out"]["kernel"]
    expected = FEATURES.reshape(6, 6) @ kernel[:, 0]
    out, _ = network.apply(variables, FEATURES, context=CONTEXT._replace(train=False))
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    out, _ = network.apply(variables, FEATURES, context=CONTEXT)
    assert bool((abs(out - expected) > 1e-4).all())


def test_projection_in_closed_form():
    network = compiled(nets.ProjectionHead(4))
    labels = jnp.array([0, 1, 2, 3, 0, 1])
    variables = network.init(KEY, FEATURES, labels)
    params = jax.tree.map(np.asarray, variables["params"])
    phi = np.asarray(FEATURES).reshape(6, 6)
    expected = phi @ params["out"]["kernel"][:, 0] + (params["embedding"][labels] * phi).sum(1)
    out, _ = network.apply(variables, FEATURES, labels, context=CONTEXT)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_projection_after_hidden_layers():
    network = compiled(nets.ProjectionHead(4, widths=(5,)))
    labels = jnp.array([0, 1, 2, 3, 0, 1])
    variables = network.init(KEY, FEATURES, labels)
    params = jax.tree.map(np.asarray, variables["params"])
    phi = np.asarray(FEATURES).reshape(6, 6) @ params["Dense_0"]["kernel"]
    phi = np.where(phi > 0, phi, 0.2 * phi)  # biases start at 0
    expected = phi @ params["out"]["kernel"][:, 0] + (params["embedding"][labels] * phi).sum(1)
    out, _ = network.apply(variables, FEATURES, labels, context=CONTEXT)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_projection_of_a_label_outside_the_classes_is_nan():
    """Hidden labels are -1: not the last class."""
    network = compiled(nets.ProjectionHead(4))
    labels = jnp.array([3, -1, 4, -4, 0, -5])
    variables = network.init(KEY, FEATURES, jnp.zeros(6, jnp.int32))
    out, _ = network.apply(variables, FEATURES, labels, context=CONTEXT)
    np.testing.assert_array_equal(jnp.isnan(out), [False, True, True, True, False, True])


def test_projection_with_spectral_norms_keeps_two_vectors():
    network = compiled(nets.ProjectionHead(4, spectral=True))
    labels = jnp.zeros(6, jnp.int32)
    variables = jax.eval_shape(network.init, KEY, FEATURES, labels)
    new = jax.eval_shape(
        lambda v: network.apply(v, FEATURES, labels, context=CONTEXT)[1], variables
    )
    assert jax.tree.map(jnp.shape, new) == {"spectral": {"u": (6,), "out": {"u": (1,)}}}


def test_projection_refuses_one_hot_labels():
    with pytest.raises(ValueError, match=r"labels of shape \(6, 4\) for 6 examples"):
        compiled(nets.ProjectionHead(4)).init(KEY, FEATURES, jnp.ones((6, 4), jnp.int32))


def test_squash_in_float32_and_by_name():
    x = jnp.array([-3.0, 0.001, 3.0], jnp.bfloat16)
    assert squash(x, "tanh").dtype == jnp.float32
    np.testing.assert_allclose(squash(x, "sigmoid"), 1 / (1 + np.exp(-np.float32(x))), rtol=1e-6)
    np.testing.assert_array_equal(squash(x, "none"), x.astype(jnp.float32))
    wide = np.asarray(x, np.float32)
    np.testing.assert_allclose(squash(x, "leaky_relu"), np.maximum(wide, 0.2 * wide), rtol=1e-6)
    with pytest.raises(ValueError, match="output='relu' is not one of 'sigmoid', 'tanh', 'leaky_"):
        squash(x, "relu")  # type: ignore[arg-type]


def test_kernel_norm_by_name():
    with pytest.raises(ValueError, match="kernel_norm='layer' is not None, 'weight' or 'spectral'"):
        linear(3, "layer", None)  # type: ignore[arg-type]
