"""Images standardised one by one, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.types import Context, Network

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
ECHO = Network(lambda key, x: {"params": {"seen": x}}, lambda v, x, context: (x, {}))
IMAGES = np.random.default_rng(0).normal(3, 7, (3, 4, 5, 2))


def test_brightness_and_contrast_of_every_channel_are_gone():
    network = nets.standardised(ECHO)
    found, _ = network.apply({}, jnp.asarray(IMAGES), context=CONTEXT)
    for i in range(3):
        for c in range(2):
            x = IMAGES[i, ..., c]
            np.testing.assert_allclose(found[i, ..., c], (x - x.mean()) / x.std(), rtol=1e-4)
    brighter, _ = network.apply({}, jnp.asarray(5 + 2 * IMAGES), context=CONTEXT)
    np.testing.assert_allclose(brighter, found, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        network.init(CONTEXT.key, jnp.asarray(IMAGES))["params"]["seen"], found
    )


def test_an_image_of_one_colour_is_zero_and_other_shapes_are_refused():
    found, _ = nets.standardised(ECHO).apply({}, jnp.full((1, 2, 2, 1), 4.0), context=CONTEXT)
    assert not found.any()
    with pytest.raises(ValueError, match=r"got shape \(3, 4\)"):
        nets.standardise(jnp.ones((3, 4)))
