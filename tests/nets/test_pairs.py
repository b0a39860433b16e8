"""The logit of a pair depends on how image and code go together, and on nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))


def test_a_logit_of_both():
    network = nets.from_linen(nets.PairDiscriminator(nets.MLPTrunk((5,)), (6,)))
    images = jax.random.normal(jax.random.key(1), (4, 3, 3, 1))
    codes = jax.random.normal(jax.random.key(2), (4, 2))
    variables = network.init(jax.random.key(3), images, codes)
    logits, _ = network.apply(variables, images, codes, context=CONTEXT)
    assert logits.shape == (4,)
    swapped, _ = network.apply(variables, images, codes[::-1], context=CONTEXT)
    other, _ = network.apply(variables, images[::-1], codes, context=CONTEXT)
    np.testing.assert_allclose(swapped, other[::-1], rtol=1e-5)
    assert jnp.abs(swapped - logits).min() > 1e-4
    flat = logits.sum() - swapped.sum()
    assert abs(float(flat)) > 1e-3, "no sum of a function of the image and one of the code"


def test_bad_codes():
    network = nets.from_linen(nets.PairDiscriminator(nets.MLPTrunk((5,))))
    with pytest.raises(ValueError, match=r"codes of shape \(3, 2\) for images of shape \(4, 3"):
        network.init(jax.random.key(0), jnp.zeros((4, 3, 3, 1)), jnp.zeros((3, 2)))
