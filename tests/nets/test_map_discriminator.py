"""Discriminators of label maps: three ways to join map and image, logits or features."""

import jax
import numpy as np
import pytest
from nets.checks import KEY, check_bfloat16, check_gradients, shapes, sizes

from gan_mtl import nets
from gan_mtl.nets.map_discriminator import joined

IMAGES = jax.random.normal(KEY, (2, 9, 6, 3))
MAPS = jax.nn.softmax(jax.random.normal(jax.random.key(1), (2, 9, 6, 4)))


def test_a_product_holds_a_copy_of_the_image_for_every_class():
    found = np.asarray(joined("product", IMAGES, MAPS)).reshape(2, 9, 6, 3, 4)
    for c in range(3):
        for k in range(4):
            np.testing.assert_allclose(found[..., c, k], IMAGES[..., c] * MAPS[..., k], rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), IMAGES, rtol=1e-4, atol=1e-6)
    assert joined("concat", IMAGES, MAPS).shape[-1] == 7
    np.testing.assert_array_equal(joined("map", IMAGES, MAPS), MAPS)


@pytest.mark.parametrize("how, channels", [("map", 4), ("product", 12), ("concat", 7)])
def test_sizes(how, channels):
    module = nets.MapDiscriminator((5, 8), how)
    count = 16 * channels * 5 + 5 + 16 * 5 * 8 + 8 + 8 + 1
    assert sizes(module, IMAGES, MAPS) == (count, (2,))


def test_features_are_what_it_is_shown_and_every_layer():
    _, found = shapes(nets.MapDiscriminator((5, 8), outputs="features"), IMAGES, MAPS)
    assert [x.shape for x in found] == [(2, 9, 6, 12), (2, 5, 3, 5), (2, 3, 2, 8)]


def test_where_both_maps_are_blank_the_image_cannot_be_seen():
    """Of "map" and "product": a blank pixel hides the image's too."""
    blank = MAPS.at[:, 3].set(0.0)
    changed = IMAGES.at[:, 3].add(7.0)
    for how in ("map", "product"):
        np.testing.assert_array_equal(joined(how, IMAGES, blank), joined(how, changed, blank))


def test_gradients_and_bfloat16():
    module = nets.MapDiscriminator((4, 16), norm="group", spectral=True)
    check_gradients(module, IMAGES, MAPS)
    check_bfloat16(module, IMAGES, MAPS)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"images of shape \(2, 9, 6, 3\) with maps of .*2, 8, 6"):
        shapes(nets.MapDiscriminator(), IMAGES, MAPS[:, 1:])
    with pytest.raises(ValueError, match="joined='sum' is not 'map', 'product' or 'concat'"):
        shapes(nets.MapDiscriminator(joined="sum"), IMAGES, MAPS)
    with pytest.raises(ValueError, match="outputs='probabilities'"):
        shapes(nets.MapDiscriminator(outputs="probabilities"), IMAGES, MAPS)
