"""BigGAN: parameter counts of the authors' PyTorch code, latents in parts, spectral norm.

Counts are those of ajbrock/BigGAN-PyTorch, counted in PyTorch, less the embedding that all layers
share (`G.shared`), which is a network of its own here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_gradients, count, out_shape, sizes, spectral_kernels
from nets.compiled import compiled

from gan_mtl import nets

SMALL = nets.BigGANGenerator((3, 4, 2), 2, (1, 2))
Z = jax.random.normal(KEY, (3, 6))
E = jax.random.normal(jax.random.key(1), (3, 4))


def _embedded(classes, width=128):
    return jnp.ones((1, width)), classes * width


@pytest.mark.parametrize(
    ("size", "width", "z", "classes", "attention", "gen", "disc"),
    [
        (128, 96, 120, 1000, 64, 70433988, 87982370),
        (64, 64, 100, 100, 32, 31750916, 19650242),
        (32, 64, 80, 10, None, 4287235, 4207361),
    ],
)
def test_parameters_are_those_of_the_authors_code(size, width, z, classes, attention, gen, disc):
    e, shared = _embedded(classes)
    generator = nets.biggan_generator(size, width=width, attention=attention)
    assert sizes(generator, jnp.ones((1, z)), e) == (gen - shared, (1, size, size, 3))
    trunk = nets.biggan_trunk(size, width=width, attention=attention)
    parameters, (_, features) = sizes(trunk, jnp.ones((1, size, size, 3)))
    assert parameters == disc - (features + 1) - classes * features


def test_without_hierarchy_one_hot_labels_are_behind_the_norms():
    """G_shared False, hier False: launch_cifar_ema.sh."""
    generator = nets.biggan_generator(32, width=64, hierarchical=False)
    assert count(generator, jnp.ones((1, 128)), jnp.ones((1, 10))) == 4304387


def test_each_block_gets_its_part_of_the_latents():
    network = compiled(SMALL)
    variables = network.init(KEY, Z, E)
    for i in range(2):
        gain = variables["params"][f"GeneratorBlock_{i}"]["ConditionalBatchNorm_0"]["gain"]
        assert gain["kernel"].shape[0] == 4 + 2
    assert variables["params"]["Dense_0"]["kernel"].shape[0] == 2
    still = CONTEXT._replace(train=False)
    images, _ = network.apply(variables, Z, E, context=still)
    assert images.shape == (3, 4, 8, 2) and bool((jnp.abs(images) < 1).all())
    for part in range(3):
        other, _ = network.apply(variables, Z.at[:, 2 * part].add(1), E, context=still)
        assert bool((other != images).any(axis=(1, 2, 3)).all())


def test_kernels_are_orthogonal_at_first():
    params = compiled(SMALL).init(KEY, Z, E)["params"]
    for name in ("Conv_0", "Conv_1", "shortcut"):
        kernel = params["GeneratorBlock_0"][name]["kernel"]
        matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
        small = min(matrix.shape)
        gram = matrix.T @ matrix if matrix.shape[1] == small else matrix @ matrix.T
        np.testing.assert_allclose(gram, np.eye(small), atol=1e-5)


def test_every_kernel_is_spectrally_normalised_and_counted():
    assert spectral_kernels(SMALL, Z, E) == (2 + 2 * 7, 2 + 2 * 7)
    trunk = nets.BigGANTrunk((8, 8), 1, attention=(0,))
    assert spectral_kernels(trunk, jnp.ones((1, 4, 4, 3))) == (5 + 4, 5 + 4)
    assert spectral_kernels(SMALL.clone(spectral=False), Z, E) == (16, 0)


def test_gradients():
    plain = {"spectral": False, "kernel_init": nets.lecun}
    check_gradients(nets.BigGANGenerator((3, 4), 1, (2, 2), **plain), Z, E)
    check_gradients(nets.BigGANTrunk((3,), 1, **plain), jax.random.normal(KEY, (3, 4, 4, 2)))


def test_any_base_channels_and_without_a_condition():
    generator = nets.BigGANGenerator((8, 8, 8), 4, (4, 6), attention=(1,))
    shape = (2, 16, 24, 4)
    assert out_shape(generator, jnp.ones((2, 9))) == shape
    assert out_shape(generator.clone(hierarchical=False), jnp.ones((2, 7))) == shape
    narrow = generator.clone(dtype=jnp.bfloat16)
    assert out_shape(narrow, jnp.ones((2, 9)), jnp.ones((2, 5))) == shape
    assert out_shape(nets.BigGANTrunk((8, 16), 2, (1,)), jnp.ones(shape)) == (2, 16)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"of 7 dimensions for 2 blocks .* use 6 dimensions"):
        compiled(SMALL).init(KEY, jnp.ones((3, 7)), E)
    with pytest.raises(ValueError, match=r"size=48 is not one of 32, 64, 128; other sizes"):
        nets.biggan_generator(48)
    with pytest.raises(ValueError, match=r"attention=4 is not the size of a block's maps: 8, 16"):
        nets.biggan_generator(32, attention=4)
