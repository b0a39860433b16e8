"""Discriminators that reconstruct: sizes layer by layer, shapes, gradients."""

import jax
import jax.numpy as jnp
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients, count, out_shape, sizes
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (3, 4, 6, 2))
SMALL = nets.Autoencoder(nets.BEGANEncoder(5, 3, 1), nets.BEGANDecoder(2, 3, 1, (2, 3)))


@pytest.mark.parametrize(("size", "halved"), [(32, 2), (64, 3)])
def test_began_has_the_layers_of_the_paper(size, halved):
    """Two convolutions per size; after carpedm20/BEGAN-tensorflow, models.py, layer by layer."""

    def conv(a, b):
        return 9 * a * b + b

    n, code = 16, 8
    encoder = conv(3, n)
    for i in range(halved + 1):
        before, width = n * max(i, 1), n * (i + 1)
        encoder += conv(before, width) + conv(width, width)
        encoder += conv(width, width) if i < halved else 0
    encoder += 64 * n * (halved + 1) * code + code
    decoder = (code + 1) * 64 * n + 2 * (halved + 1) * conv(n, n) + conv(n, 3)
    x = jnp.ones((1, size, size, 3))
    network = nets.began_autoencoder(size, code=code, width=n)
    assert sizes(network, x) == (encoder + decoder, x.shape)
    assert count(network.encoder, x) == encoder
    assert count(nets.BEGANDecoder(3, n, halved), jnp.ones((1, code))) == decoder


def test_dense_autoencoder_and_its_code():
    dense = nets.Autoencoder(
        nets.MLPTrunk((8, 5)), nets.MLPGenerator((8,), (4, 6, 2), output="none"), return_code=True
    )
    network = compiled(dense)
    variables = network.init(KEY, X)
    (reconstruction, code), _ = network.apply(variables, X, context=CONTEXT)
    assert reconstruction.shape == X.shape and code.shape == (3, 5)
    decoder = compiled(dense.decoder)
    again, _ = decoder.apply({"params": variables["params"]["decoder"]}, code, context=CONTEXT)
    assert bool(jnp.allclose(again, reconstruction, atol=1e-6))


def test_gradients_bfloat16_and_any_base():
    check_gradients(SMALL, X)
    check_bfloat16(nets.BEGANDecoder(2, 3, 1, (2, 3)), jnp.ones((2, 5)))
    assert out_shape(nets.BEGANDecoder(4, 3, 2, (5, 3)), jnp.ones((2, 5))) == (2, 20, 12, 4)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"size=28 is not 8 times a power of two; other sizes"):
        nets.began_autoencoder(28)
    with pytest.raises(ValueError, match=r"the decoder makes \(4, 6, 1\) of images \(4, 6, 2\)"):
        compiled(SMALL.clone(decoder=nets.BEGANDecoder(1, 3, 1, (2, 3)))).init(KEY, X)
