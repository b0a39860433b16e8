"""Heads on maps: sizes for pyramids and single maps, gradients, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients, shapes, sizes

from gan_mtl import nets
from gan_mtl.nets.map_heads import highest

X = jax.random.normal(KEY, (4, 17, 24, 2))
MAPS = (X, jax.random.normal(KEY, (4, 9, 12, 3)), jax.random.normal(KEY, (4, 3, 3, 5)))


def test_heads_take_pyramids_and_single_maps():
    assert nets.MapClassifier(5).width == 128  # tutorial T1
    for maps in (MAPS, X):
        assert sizes(nets.MapClassifier(7), maps)[1] == (4, 7)
        assert sizes(nets.DenseHead(7, (34, 50)), maps)[1] == (4, 34, 50, 7)
        assert sizes(nets.CentreHead(7), maps)[1] == (4, 17, 24, 11)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_the_classifier_sees_means_or_maxima_of_the_coarsest_map(pool):
    module = nets.MapClassifier(3, 0, pool)
    variables = module.init(KEY, MAPS, context=CONTEXT)
    kernel = np.asarray(variables["params"]["out"]["kernel"])
    expected = getattr(np.asarray(MAPS[-1]), pool)(axis=(1, 2)) @ kernel
    np.testing.assert_allclose(module.apply(variables, MAPS, context=CONTEXT), expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"MapClassifier: pool='sum' is not 'mean' or 'max'"):
        shapes(nets.MapClassifier(3, pool="sum"), MAPS)


def test_the_first_of_equal_maxima_has_the_gradient():
    x = jnp.array([[[1.0, 5.0], [3.0, 5.0]], [[3.0, 0.0], [2.0, 1.0]]])[None]
    np.testing.assert_array_equal(highest(x), [[3.0, 5.0]])
    gradient = jax.grad(lambda x: (highest(x) * jnp.array([[2.0, 7.0]])).sum())(x)
    np.testing.assert_array_equal(gradient[0], [[[0, 7], [2, 0]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize("module", [nets.MapClassifier(3), nets.DenseHead(3, (8, 8))])
def test_gradients_and_bfloat16(module):
    check_gradients(module, MAPS)
    check_bfloat16(module, MAPS)


@pytest.mark.parametrize("module", [nets.MapClassifier(3), nets.DenseHead(3, (8, 8))])
def test_features_without_places_are_refused(module):
    with pytest.raises(ValueError, match=r"features of shape \(4, 5\); it takes maps"):
        shapes(module, jnp.ones((4, 5)))


def test_a_dense_head_s_size_may_be_a_multiple_of_the_finest_map():
    module = nets.DenseHead(3, 2, 4)
    assert sizes(module, MAPS)[1] == (4, 34, 48, 3)
    variables = module.init(KEY, MAPS, context=CONTEXT)
    fixed = nets.DenseHead(3, (34, 48), 4).apply(variables, MAPS, context=CONTEXT)
    np.testing.assert_array_equal(module.apply(variables, MAPS, context=CONTEXT), fixed)
