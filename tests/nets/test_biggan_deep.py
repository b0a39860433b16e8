"""BigGAN-deep: parameter counts of the authors' PyTorch code, shortcuts, spectral norm.

Counts are those of ajbrock/BigGAN-PyTorch (`BigGANdeep`), counted in PyTorch, less `G.shared`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_gradients, out_shape, sizes, spectral_kernels
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.nets.biggan_deep import DeepGeneratorBlock, DeepTrunkBlock

Z = jax.random.normal(KEY, (3, 6))
E = jax.random.normal(jax.random.key(1), (3, 4))
X = jax.random.normal(KEY, (3, 4, 6, 8))


@pytest.mark.parametrize(
    ("size", "width", "classes", "attention", "gen", "disc"),
    [(128, 128, 1000, 64, 50244484, 34590210), (32, 64, 10, None, 3079299, 651649)],
)
def test_parameters_are_those_of_the_authors_code(size, width, classes, attention, gen, disc):
    z = e = jnp.ones((1, 128))
    generator = nets.biggan_deep_generator(size, width=width, attention=attention)
    assert sizes(generator, z, e) == (gen - classes * 128, (1, size, size, 3))
    trunk = nets.biggan_deep_trunk(size, width=width, attention=attention)
    parameters, (_, features) = sizes(trunk, jnp.ones((1, size, size, 3)))
    assert parameters == disc - (features + 1) - classes * features


def test_shortcuts_drop_add_and_keep_channels():
    """With the last kernel at zero a block is its shortcut."""

    def shortcut(block, *inputs):
        network = compiled(block)
        variables = network.init(KEY, *inputs)
        variables["params"]["Conv_3"]["kernel"] *= 0
        return network.apply(variables, *inputs, context=CONTEXT)[0]

    plain = {"spectral": False, "kernel_init": nets.lecun}
    np.testing.assert_array_equal(shortcut(DeepGeneratorBlock(5, False, **plain), X, E), X[..., :5])
    more = shortcut(DeepTrunkBlock(11, False, **plain), X)
    np.testing.assert_array_equal(more[..., :8], X)
    assert more.shape == (3, 4, 6, 11) and bool((more[..., 8:] != 0).any())
    assert out_shape(DeepGeneratorBlock(5, True), X, E) == (3, 8, 12, 5)
    assert out_shape(DeepTrunkBlock(9, True), X) == (3, 2, 3, 9)


def test_gradients():
    plain = {"spectral": False, "kernel_init": nets.lecun, "depth": 1}
    check_gradients(nets.BigGANDeepGenerator((8, 4), 1, (2, 2), **plain), Z, E)
    check_gradients(nets.BigGANDeepTrunk((4, 8), 1, **plain), X[:, :, :4])


def test_every_kernel_is_spectrally_normalised():
    generator = nets.BigGANDeepGenerator((8, 8), 2, (1, 2), attention=(0,))
    assert spectral_kernels(generator, Z, E) == (2 + 2 * 12 + 4, 2 + 2 * 12 + 4)
    assert spectral_kernels(nets.BigGANDeepTrunk((4, 8), 1), X) == (10, 10)
    assert out_shape(generator.clone(dtype=jnp.bfloat16), Z) == (3, 2, 4, 2)
    assert out_shape(nets.BigGANDeepTrunk((4, 8, 8), 1, (1,)), X) == (3, 8)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"features=9 of 8 channels; .* widths may not rise"):
        compiled(DeepGeneratorBlock(9, True)).init(KEY, X, E)
    with pytest.raises(ValueError, match=r"features=7 of 8 channels; .* widths may not fall"):
        compiled(DeepTrunkBlock(7, True)).init(KEY, X)
    with pytest.raises(ValueError, match=r"size=256 is not one of 32, 64, 128"):
        nets.biggan_deep_trunk(256)
