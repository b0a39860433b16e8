"""pix2pix's networks: sizes of the paper, receptive field, noise that stays, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients, count, out_shape
from nets.compiled import compiled

from gan_mtl import nets

MAPS = jax.nn.one_hot(jax.random.randint(KEY, (2, 8, 4), 0, 3), 3)
NONE = jnp.zeros((2, 0))
IMAGES = jax.random.normal(KEY, (2, 8, 4, 2))
SMALL = nets.Pix2PixGenerator((4, 5), 2)


def test_parameters_are_those_of_the_paper():
    widths = [64, 128, 256, 512, 512, 512, 512, 512]
    normed = widths[1:-1] + widths[-2::-1]
    into = [512, *(2 * c for c in widths[-2::-1])]
    expected = sum(16 * a * b + b for a, b in itertools.pairwise([3, *widths]))
    expected += sum(16 * a * b + b for a, b in zip(into, [*widths[-2::-1], 3], strict=True))
    expected += sum(2 * c for c in normed)
    inputs = jnp.zeros((1, 0)), jnp.ones((1, 256, 512, 3))
    assert count(nets.Pix2PixGenerator(), *inputs) == expected
    assert out_shape(nets.Pix2PixGenerator(), *inputs) == (1, 256, 512, 3)
    patches = nets.PatchDiscriminator()
    assert out_shape(patches, jnp.ones((1, 256, 128, 3)), inputs[1][:, :, :128]) == (1, 32, 16)


def test_dropout_is_noise_in_evaluation_too():
    network = compiled(SMALL)
    variables = network.init(KEY, NONE, MAPS)
    calm = CONTEXT._replace(train=False)
    images, state = network.apply(variables, NONE, MAPS, context=calm)
    assert images.shape == (2, 8, 4, 2) and state == {}
    again, _ = network.apply(variables, NONE, MAPS, context=calm)
    other, _ = network.apply(variables, NONE, MAPS, context=calm.fold(1))
    np.testing.assert_array_equal(images, again)
    assert bool((images != other).any())


def test_a_patch_is_of_seventy_pixels():
    """The logit in the middle depends on a square of 70x70 pixels: the paper's default."""
    network = nets.from_linen(nets.PatchDiscriminator((1, 1, 1, 1)))
    images, maps = jnp.ones((1, 128, 128, 1)), jnp.ones((1, 128, 128, 1))
    variables = network.init(KEY, images, maps)
    calm = CONTEXT._replace(train=False)

    def middle(images):
        return network.apply(variables, images, maps, context=calm)[0][0, 8, 8]

    seen = np.asarray(jax.jit(jax.grad(middle))(images))[0, :, :, 0] != 0
    assert np.ptp(np.flatnonzero(seen.any(axis=0))) + 1 == 70
    assert np.ptp(np.flatnonzero(seen.any(axis=1))) + 1 == 70


def test_gradients_and_dtypes():
    check_gradients(SMALL, NONE, MAPS, dead=("ConvTranspose_0/bias",))
    check_gradients(nets.PatchDiscriminator((4, 5)), IMAGES, MAPS, dead=("Conv_1/bias",))
    check_bfloat16(SMALL, NONE, MAPS)
    check_bfloat16(nets.PatchDiscriminator((4, 5)), IMAGES, MAPS)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"images of shape \(2, 6, 4, 3\) with 2 halvings"):
        compiled(SMALL).init(KEY, NONE, MAPS[:, :6])
    with pytest.raises(
        ValueError, match=r"images of shape \(2, 8, 4, 2\) with label maps of shape"
    ):
        compiled(nets.PatchDiscriminator((4,))).init(KEY, IMAGES, MAPS[:, :4])
