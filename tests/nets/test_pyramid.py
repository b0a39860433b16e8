"""Pyramids and their heads: counts of the originals, sizes, every norm, gradients."""

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
    shapes,
    sizes,
)

from gan_mtl import nets
from gan_mtl.nets.pyramid import enlarge

X = jax.random.normal(KEY, (4, 17, 24, 2))
SMALL = nets.ResNetPyramid((16, 32), (1, 2), "small", "group")
MAPS = (X, jax.random.normal(KEY, (4, 9, 12, 3)), jax.random.normal(KEY, (4, 3, 3, 5)))


def test_the_default_is_resnet_18_without_its_last_layer():
    """11,689,512 parameters with 1,000 classes (He et al. 2016; torchvision's count)."""
    images = jnp.ones((1, 224, 224, 3))
    variables, maps = shapes(nets.ResNetPyramid(), images)
    trained = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert trained + 512 * 1000 + 1000 == 11_689_512
    assert [x.shape[1:] for x in maps] == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]


def test_the_trunk_of_the_tutorial():
    images = jnp.ones((1, 224, 224, 3))
    variables, maps = shapes(nets.ConvPyramid(), images)
    assert [x.shape[1:] for x in maps] == [(112, 112, 32), (56, 56, 64), (28, 28, 128)]
    conv = [9 * a * b + b for a, b in ((3, 32), (32, 64), (64, 128))]
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == sum(conv)


@pytest.mark.parametrize("norm", ["batch", "group", None])
def test_any_size_and_norm(norm):
    _, maps = shapes(nets.ResNetPyramid((16, 32, 64), (1, 1, 1), "small", norm), X)
    assert [x.shape for x in maps] == [(4, 17, 24, 16), (4, 9, 12, 32), (4, 5, 6, 64)]
    _, maps = shapes(nets.ConvPyramid((16, 32), 2, norm), X)
    assert [x.shape for x in maps] == [(4, 8, 12, 16), (4, 4, 6, 32)]
    _, maps = shapes(nets.ConvPyramid((16, 32), 2, norm, "stride"), X)
    assert [x.shape for x in maps] == [(4, 9, 12, 16), (4, 5, 6, 32)]
    _, kept = shapes(nets.ConvStage(16, 1, norm, None), X)
    assert kept.shape == (4, 17, 24, 16)


def test_stages_in_a_row_are_the_pyramid():
    pyramid = nets.ConvPyramid((4, 8), 2, down="stride")
    variables = pyramid.init(KEY, X, context=CONTEXT)
    x = X
    for i, found in enumerate(pyramid.apply(variables, X, context=CONTEXT)):
        stage = nets.ConvStage((4, 8)[i], 2, down="stride")
        x = stage.apply({"params": variables["params"][f"ConvStage_{i}"]}, x, context=CONTEXT)
        np.testing.assert_array_equal(x, found)


def test_a_block_without_change_adds_its_input():
    module = nets.pyramid.BasicBlock(2, norm=None)
    variables, _ = jax.jit(lambda x: (module.init(KEY, x, context=CONTEXT), x))(X)
    still = jax.tree.map(jnp.zeros_like, variables)
    np.testing.assert_array_equal(module.apply(still, X, context=CONTEXT), jnp.maximum(X, 0))
    assert "shortcut" not in variables["params"]


def test_maps_are_enlarged_to_their_nearest_place():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(
        enlarge(x, (3, 5))[0, :, :, 0], [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    )


def test_the_decoder_adds_coarse_to_fine():
    module = nets.PyramidDecoder(8, None)
    variables, out = shapes(module, MAPS)
    assert out.shape == (4, 17, 24, 8)
    laterals = sorted(leaf.shape for leaf in jax.tree.leaves(variables) if leaf.ndim == 4)
    assert laterals == [(1, 1, 2, 8), (1, 1, 3, 8), (1, 1, 5, 8), (3, 3, 8, 8)]
    assert sizes(module, X)[1] == (4, 17, 24, 8)


def test_gradients_and_bfloat16():
    check_gradients(SMALL, X)
    check_bfloat16(SMALL, X)


def test_batch_statistics_are_those_of_all_devices():
    check_devices(nets.ResNetPyramid((8,), (1,), "small", "batch"), X[:, :6, :6])


def test_bad_inputs_are_refused_by_name():
    with pytest.raises(ValueError, match=r"ConvPyramid: images of shape .* at least 8x8 pixels"):
        shapes(nets.ConvPyramid(), X[:, :4])
    with pytest.raises(ValueError, match=r"depths=\(1, 2\), stem='tiny'"):
        shapes(SMALL.clone(stem="tiny"), X)
    with pytest.raises(ValueError, match="norm='layer' is not"):
        shapes(nets.ConvPyramid((8,), norm="layer"), X)
    with pytest.raises(ValueError, match=r"ConvStage: down='half' is not 'pool', 'stride' or None"):
        shapes(nets.ConvStage(8, down="half"), X)
