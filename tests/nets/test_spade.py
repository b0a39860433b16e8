"""SPADE by hand, the generator's sizes and noise, and what it refuses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_devices, check_gradients, count, shapes
from nets.compiled import compiled
from scipy.signal import correlate

from gan_mtl import nets

X = jax.random.normal(KEY, (2, 4, 2, 3))
MASK = jax.random.randint(KEY, (2, 8, 4), 0, 3)
MAPS = jax.nn.one_hot(MASK, 2)  # class 2 stands for pixels that are ignored
Z = jax.random.normal(KEY, (2, 5))
SMALL = nets.SPADEGenerator((4, 4), 2, hidden=3, spectral=False)  # a block without shortcut


def convolved(x, layer):
    """3x3 with zeros around, channel by channel."""
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = [
        [correlate(image, kernel[..., o], "valid")[..., 0] + bias[o] for o in range(len(bias))]
        for image in padded
    ]
    return np.moveaxis(np.array(out), 1, -1)


def test_spade_is_batch_norm_with_gain_and_bias_from_the_map():
    network = compiled(nets.SPADE(4))
    variables = network.init(KEY, X, MAPS)
    x = np.asarray(X, np.float64)
    normed = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    small = np.asarray(MAPS)[:, [0, 2, 4, 6]][:, :, [0, 2]]
    hidden = np.maximum(convolved(small, variables["params"]["hidden"]), 0)
    modulation = convolved(hidden, variables["params"]["modulation"])
    expected = normed * (1 + modulation[..., :3]) + modulation[..., 3:]
    found, _ = network.apply(variables, X, MAPS, context=CONTEXT)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_sizes_are_those_of_the_authors_code():
    """The 3D-noise generator for 256 pixels, with 151 classes and 3 colours."""
    widths = [1024, 1024, 1024, 512, 256, 128, 64]
    seen = 151 + 64

    def conv(a, b, k=3):
        return k * k * a * b + b

    def spade(c):
        return conv(seen, 128) + conv(128, 2 * c)

    expected = conv(seen, 1024) + conv(64, 3)
    for a, b in itertools.pairwise(widths):
        middle = min(a, b)
        expected += conv(a, middle) + conv(middle, b) + spade(a) + spade(middle)
        expected += (a * b + spade(a)) * (a != b)
    inputs = jnp.ones((1, 64)), jnp.ones((1, 32, 64, 151))
    assert count(nets.SPADEGenerator(), *inputs) == expected
    assert shapes(nets.SPADEGenerator(), *inputs)[1].shape == (1, 32, 64, 3)


def test_an_image_depends_on_its_own_map_and_noise():
    network = compiled(SMALL)
    variables = network.init(KEY, Z, MAPS)
    calm = CONTEXT._replace(train=False)
    images, _ = network.apply(variables, Z, MAPS, context=calm)
    assert images.shape == (2, 8, 4, 2) and float(jnp.abs(images).max()) < 1
    for moved in ((Z.at[0].add(1.0), MAPS), (Z, MAPS.at[0, :4].add(1.0))):
        other, _ = network.apply(variables, *moved, context=calm)
        assert bool((other[0] != images[0]).any()) and bool((other[1] == images[1]).all())
    everywhere = jnp.broadcast_to(Z[:, None, None], (2, 8, 4, 5))
    np.testing.assert_array_equal(
        network.apply(variables, everywhere, MAPS, context=calm)[0], images
    )


def test_gradients_dtypes_and_devices():
    check_gradients(SMALL.clone(widths=(4, 5)), Z, MAPS, dead=("Conv_0/bias", "first/bias"))
    check_bfloat16(SMALL, Z, MAPS)
    check_devices(nets.SPADE(4), X, MAPS)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"images of shape \(2, 7, 4, 2\) with 1 halvings"):
        compiled(SMALL.clone(widths=(4, 4, 4))).init(KEY, Z, MAPS[:, :7])
    with pytest.raises(ValueError, match=r"latents of shape \(1, 5\) for label maps of shape"):
        compiled(SMALL).init(KEY, Z[:1], MAPS)
    with pytest.raises(ValueError, match=r"widths=\(4,\); give the first map's and a block's"):
        compiled(SMALL.clone(widths=(4,))).init(KEY, Z, MAPS)
    with pytest.raises(ValueError, match=r"maps of 8x4 pixels to 3x2"):
        compiled(nets.SPADE(4)).init(KEY, X[:, :3], MAPS)
