"""SAGAN: parameter counts of the originals, where attention stands, what is normalised.

Counts of layers: brain-research/self-attention-gan (ad9612e), `generator_test` and
`discriminator_test`; those of the projection GAN, kwotsin/mimicry.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_gradients,
    count,
    shapes,
    sizes,
    spectral_kernels,
)
from nets.compiled import compiled

from gan_mtl import nets

EVALUATION = CONTEXT._replace(train=False)
SMALL_GEN = nets.sagan_generator(32, 2, width=16)
SMALL_TRUNK = nets.sagan_trunk(32, width=16)


def attention(c):
    """Queries, keys, values and out without biases, and gamma."""
    return 2 * c * (c // 8) + 2 * c * (c // 2) + 1


def conv(inputs, outputs, side=3):
    return side * side * inputs * outputs + outputs


def test_at_128_pixels_every_layer_of_the_authors_is_there():
    classes, d = 1000, 64
    widths = [16 * d, 16 * d, 8 * d, 4 * d, 2 * d, d]
    gen = conv(128, 16 * widths[0], 1)
    for a, b in itertools.pairwise(widths):
        gen += conv(a, b) + conv(b, b) + conv(a, b, 1) + 2 * classes * (a + b)
    gen += attention(4 * d) + 2 * d + conv(d, 3)
    made = sizes(nets.sagan_generator(128), jnp.ones((1, 128)), jnp.ones((1, classes)))
    assert made == (gen, (1, 128, 128, 3))
    widths = [3, d, 2 * d, 4 * d, 8 * d, 16 * d, 16 * d]
    disc = attention(2 * d)
    for a, b in itertools.pairwise(widths):
        disc += conv(a, b) + conv(b, b) + (conv(a, b, 1) if a != b else 0)
    assert sizes(nets.sagan_trunk(128), jnp.ones((1, 128, 128, 3))) == (disc, (1, 16 * d))


def test_at_32_pixels_attention_is_all_that_the_projection_gan_lacks():
    z, y, x = jnp.ones((1, 128)), jnp.ones((1, 10)), jnp.ones((1, 32, 32, 3))
    assert count(nets.sagan_generator(32), z, y) == 4304387 + attention(256)
    trunk = count(nets.sagan_trunk(32), x)
    assert trunk == count(nets.sngan_trunk(32), x) + attention(128)


@pytest.mark.parametrize("size", [48, 64])
def test_other_sizes(size):
    gen, trunk = nets.sagan_generator(size, 1, conditional=False), nets.sagan_trunk(size)
    assert sizes(gen, jnp.ones((2, 128)))[1] == (2, size, size, 1)
    assert sizes(trunk, jnp.ones((2, size, size, 1)))[1] == (2, 1024)


def test_kernels_are_spectrally_normalised_and_the_tables_of_classes_are_not():
    kernels, spectral = spectral_kernels(SMALL_GEN, jnp.ones((2, 5)), jnp.ones((2, 3)))
    assert kernels - spectral == 3 * 2 * 2  # blocks, norms, gain and bias
    kernels, spectral = spectral_kernels(SMALL_TRUNK, jnp.ones((2, 32, 32, 2)))
    assert kernels == spectral


def test_attention_begins_as_the_identity_and_then_mixes_places():
    x = jax.random.normal(KEY, (2, 32, 32, 2))
    network = compiled(SMALL_TRUNK)
    variables = network.init(KEY, x)
    (name,) = (name for name in variables["params"] if name.startswith("SelfAttention"))
    assert float(variables["params"][name]["gamma"]) == 0

    def features(gamma):
        params = {**variables["params"]}
        params[name] = {**params[name], "gamma": jnp.float32(gamma)}
        return network.apply({**variables, "params": params}, x, context=EVALUATION)[0]

    without = compiled(SMALL_TRUNK.clone(attention=0))
    kept = {
        kind: {layer: leaf for layer, leaf in tree.items() if layer != name}
        for kind, tree in variables.items()
    }
    np.testing.assert_allclose(features(0), without.apply(kept, x, context=EVALUATION)[0], 1e-6)
    assert not np.allclose(features(1), features(0), rtol=1e-3)


def test_gradients_and_bfloat16():
    z, y = jax.random.normal(KEY, (2, 5)), jnp.eye(3)[:2]
    check_gradients(
        SMALL_GEN,
        z,
        y,
        dead=[f"SelfAttention_0/{name}/" for name in ("query", "key", "value", "out")],
    )
    check_bfloat16(SMALL_GEN, z, y)


@pytest.mark.parametrize("attention", [-1, 4])
def test_attention_where_there_is_no_block_is_refused(attention):
    gen = SMALL_GEN.clone(attention=attention)
    with pytest.raises(ValueError, match=f"attention={attention} with 3 blocks"):
        shapes(gen, jnp.ones((1, 5)), jnp.ones((1, 3)))
    trunk = SMALL_TRUNK.clone(attention=5)
    with pytest.raises(ValueError, match="ResNetTrunk: attention=5 with 4 blocks"):
        shapes(trunk, jnp.ones((1, 32, 32, 2)))


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="size=96"):
        nets.sagan_generator(96)
