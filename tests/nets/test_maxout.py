"""Maxout against a loop over its pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (6, 5))


def test_equals_a_loop_over_units_and_pieces():
    network = compiled(nets.Maxout(4, 3))
    variables = network.init(KEY, X)
    bias = jnp.arange(12.0) / 6
    variables["params"]["pieces"]["bias"] = bias
    out, _ = network.apply(variables, X, context=CONTEXT)
    w = np.asarray(variables["params"]["pieces"]["kernel"], np.float64)
    for n in range(6):
        for i in range(4):
            affine = [np.asarray(X[n]) @ w[:, 3 * i + j] + bias[3 * i + j] for j in range(3)]
            np.testing.assert_allclose(out[n, i], max(affine), rtol=1e-5, atol=1e-6)


def test_one_piece_is_a_dense_layer():
    network, dense = compiled(nets.Maxout(4, 1)), compiled(nets.Dense(4))
    variables = network.init(KEY, X)
    expected, _ = dense.apply({"params": variables["params"]["pieces"]}, X, context=CONTEXT)
    np.testing.assert_array_equal(network.apply(variables, X, context=CONTEXT)[0], expected)


def test_gradients_and_bfloat16():
    check_gradients(nets.Maxout(4, 3), X)
    check_bfloat16(nets.Maxout(4, 3), X)


def test_refuses_no_pieces():
    with pytest.raises(ValueError, match=r"pieces=0 is below 1; give at least one"):
        compiled(nets.Maxout(4, 0)).init(KEY, X)
