"""The U-Net discriminator: sizes of the authors' code, both kinds of logits, labels.

Counts are layer by layer, after boschresearch/unetgan (BigGAN.py, `D_unet_arch`): the residual
blocks' channels there, doubled where the encoder's maps join.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_gradients, shapes, spectral_kernels
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (3, 4, 8, 2))
Y = jnp.array([0, 1, 1])
SMALL = nets.UNetDiscriminator((4, 3), spectral=False, kernel_init=nets.lecun)

ENCODER = {128: [1, 2, 4, 8, 16], 256: [1, 2, 4, 8, 8, 16]}
INTO = {128: [16, 16, 8, 4, 2], 256: [16, 16, 16, 8, 4, 2]}
OUT_OF = {128: [8, 4, 2, 1, 1], 256: [8, 8, 4, 2, 1, 1]}


def _block(a, b):
    """Two 3x3 convolutions, the first wide, and the 1x1 shortcut."""
    return 9 * a * b + b + 9 * b * b + b + a * b + b


@pytest.mark.parametrize("size", [128, 256])
def test_parameters_are_those_of_the_authors_code(size):
    encoder = [3] + [64 * m for m in ENCODER[size]]
    blocks = [_block(a, b) for a, b in itertools.pairwise(encoder)]
    blocks += [_block(64 * a, 64 * b) for a, b in zip(INTO[size], OUT_OF[size], strict=True)]
    expected = sum(blocks) + (1024 + 1) + (64 + 1)
    network = nets.unet_discriminator(size)
    variables, (logits, pixels) = shapes(network, jnp.ones((1, size, size, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == expected
    assert logits.shape == (1,) and pixels.shape == (1, size, size)


def test_logits_of_pixels_see_their_place_and_the_image():
    network = compiled(SMALL)
    variables = network.init(KEY, X)
    (logits, pixels), _ = network.apply(variables, X, context=CONTEXT)
    assert logits.shape == (3,) and pixels.shape == (3, 4, 8)
    (moved, others), _ = network.apply(variables, X.at[0, 1, 1].add(1.0), context=CONTEXT)
    assert (moved != logits).tolist() == [True, False, False]
    assert bool((others[0] != pixels[0]).any()) and bool((others[1:] == pixels[1:]).all())


def test_labels_are_projected_on_images_and_pixels():
    network = compiled(SMALL.clone(num_classes=2))
    variables = network.init(KEY, X, Y)
    out, _ = network.apply(variables, X, Y, context=CONTEXT)
    other, _ = network.apply(variables, X, 1 - Y, context=CONTEXT)
    for a, b in zip(out, other, strict=True):
        assert a.shape == b.shape and bool((a != b).all())
    variables["params"]["embedding"] *= 0
    variables["params"]["global"]["embedding"] *= 0
    none, _ = network.apply(variables, X, Y, context=CONTEXT)
    same, _ = network.apply(variables, X, 1 - Y, context=CONTEXT)
    jax.tree.map(np.testing.assert_array_equal, none, same)


def test_gradients_and_spectral_norm():
    check_gradients(SMALL, X)
    network = nets.UNetDiscriminator((4, 3), attention=(0,), num_classes=2)
    assert spectral_kernels(network, X, Y) == (19 + 1, 19)  # all but the last 1x1 convolution


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"size=32 is not 128 or 256; other sizes are"):
        nets.unet_discriminator(32)
    with pytest.raises(ValueError, match=r"num_classes=None with labels of shape \(3,\); both"):
        compiled(SMALL).init(KEY, X, Y)
    with pytest.raises(ValueError, match=r"images of shape \(3, 4, 7, 2\) with 2 halvings"):
        compiled(SMALL).init(KEY, X[:, :, :7])


def test_both_kinds_of_logits_in_one_row():
    network = compiled(SMALL)
    variables = network.init(KEY, X)
    (logits, pixels), _ = network.apply(variables, X, context=CONTEXT)
    joined, _ = nets.joined_logits(network).apply(variables, X, context=CONTEXT)
    assert joined.shape == (3, 1 + 4 * 8)
    np.testing.assert_array_equal(joined[:, 0], logits)
    np.testing.assert_array_equal(joined[:, 1:].reshape(3, 4, 8), pixels)
