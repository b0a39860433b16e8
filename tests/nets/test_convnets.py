"""Convolutional trunks: shapes for many sizes and channels, errors by name."""

import jax
import jax.numpy as jnp
import pytest
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(10)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("shape", "places"), [((8, 8), 4), ((28, 28), 49), ((9, 20), 10)])
@pytest.mark.parametrize("norm", [None, "batch", "spectral"])
def test_cnn_trunk_shapes(channels, shape, places, norm):
    x = jnp.ones((2, *shape, channels))
    shapes = {}
    for output in ("flat", "mean", "map"):
        network = compiled(nets.CNNTrunk((4, 6), norm=norm, output=output))
        variables = jax.eval_shape(lambda x, n=network: n.init(KEY, x), x)
        out, _ = jax.eval_shape(
            lambda v, x, n=network: n.apply(v, x, context=CONTEXT), variables, x
        )
        shapes[output] = out.shape
    half = (shape[0] // 4, shape[1] // 4)
    assert shapes == {"flat": (2, places * 6), "mean": (2, 6), "map": (2, *half, 6)}


def test_cnn_trunk_with_a_dense_layer_runs_and_evaluation_differs():
    x = jax.random.normal(KEY, (4, 8, 8, 1))
    network = compiled(nets.CNNTrunk((4,), norm="batch", features=7))
    variables = network.init(KEY, x)
    out, new = network.apply(variables, x, context=CONTEXT)
    assert out.shape == (4, 7) and set(new) == {"batch_stats"}
    still, new = network.apply(variables, x, context=CONTEXT._replace(train=False))
    assert new == {} and bool((out != still).any())


@pytest.mark.parametrize(("size", "width"), [(28, 2 * 2 * 6), (8, 6), (5, 6), (33, 3 * 3 * 6)])
def test_conv_trunk_takes_any_size(size, width):
    x = jnp.ones((4, size, size, 2))
    depth = {28: 4, 8: 3, 5: 3, 33: 4}[size]
    network = compiled(nets.ConvTrunk((2,) * (depth - 1) + (6,), kernel_size=5, group_size=2))
    out = jax.eval_shape(lambda x: network.apply(network.init(KEY, x), x, context=CONTEXT)[0], x)
    assert out.shape == (4, width)


def test_conv_trunk_ends_with_a_dense_layer_where_asked():
    x = jnp.ones((2, 8, 8, 1))
    network = compiled(nets.ConvTrunk((2, 3), features=5))
    variables = jax.eval_shape(lambda x: network.init(KEY, x), x)
    assert variables["params"]["Dense_0"]["kernel"].shape == (2 * 2 * 3, 5)


def test_conv_trunk_s_maps_are_its_flat_features():
    x = jax.random.normal(KEY, (2, 6, 9, 1))
    flat, maps = (compiled(nets.ConvTrunk((2, 3), output=o)) for o in ("flat", "map"))
    variables = flat.init(KEY, x)
    found, wanted = (n.apply(variables, x, context=CONTEXT)[0] for n in (maps, flat))
    assert found.shape == (2, 2, 3, 3)
    assert bool((found.reshape(2, -1) == wanted).all())


@pytest.mark.parametrize(
    ("pooled", "shape"), [(None, (2, 2, 2, 5)), ((1,), (2, 4, 4, 5)), ((), (2, 8, 8, 5))]
)
def test_cnn_trunk_pools_where_told(pooled, shape):
    network = compiled(nets.CNNTrunk((3, 5), pooled=pooled, input_noise=0.1, output="map"))
    x = jnp.ones((2, 8, 8, 1))
    out = jax.eval_shape(lambda x: network.apply(network.init(KEY, x), x, context=CONTEXT)[0], x)
    assert out.shape == shape


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"of shape \(2, 3, 8, 1\) with 2 poolings.*4 pixels"):
        compiled(nets.CNNTrunk()).init(KEY, jnp.ones((2, 3, 8, 1)))
    with pytest.raises(ValueError, match="norm='layer' is not None or one of 'batch', 'spectral'"):
        compiled(nets.ConvTrunk((4,), norm="layer")).init(KEY, jnp.ones((2, 8, 8, 1)))
    with pytest.raises(ValueError, match="ConvTrunk: output='map' with features=3; give 'flat'"):
        compiled(nets.ConvTrunk((4,), output="map", features=3)).init(KEY, jnp.ones((2, 8, 8, 1)))
    with pytest.raises(ValueError, match="output='vector' is not"):
        compiled(nets.CNNTrunk(output="vector")).init(KEY, jnp.ones((2, 8, 8, 1)))
