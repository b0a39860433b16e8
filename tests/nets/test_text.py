"""Character-level networks: shapes, rows of probabilities, how far a feature sees, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(4)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_a_generator_makes_rows_of_probabilities():
    network = nets.from_linen(nets.TextGenerator(6, 3, width=2, blocks=1))
    z = jax.random.normal(KEY, (2, 4))
    lines, _ = network.apply(network.init(KEY, z), z, context=CONTEXT)
    assert lines.shape == (2, 6, 3, 1)
    np.testing.assert_allclose(lines.sum(axis=2), 1.0, rtol=1e-5)


def test_a_trunk_sees_two_characters_to_either_side_a_convolution():
    network = nets.from_linen(nets.TextTrunk(width=2, blocks=1))
    lines = jnp.zeros((1, 13, 3, 1)).at[:, :, 0].set(1.0)
    changed = lines.at[0, 6].set(jnp.array([0.0, 1.0, 0.0])[:, None])
    variables = network.init(KEY, lines)
    features = [network.apply(variables, x, context=CONTEXT)[0] for x in (lines, changed)]
    apart = np.abs(features[0] - features[1]).reshape(13, 2).max(axis=1) > 0
    assert features[0].shape == (1, 26)
    assert apart[6] and not apart[:2].any() and not apart[11:].any()


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"takes \[n, length, letters, 1\]"):
        nets.from_linen(nets.TextTrunk(2)).init(KEY, jnp.ones((1, 4, 3)))
