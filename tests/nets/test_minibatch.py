"""minibatch_stddev against a NumPy loop, and its independence from the devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets

X = jax.random.normal(jax.random.key(6), (16, 3, 2, 5))


@pytest.mark.parametrize("group_size", [1, 2, 4, 16])
def test_equals_a_loop_over_groups(group_size):
    out = nets.minibatch_stddev(X, group_size)
    assert out.shape == (16, 3, 2, 6)
    np.testing.assert_array_equal(out[..., :5], X)
    for i in range(16):
        first = i // group_size * group_size
        group = np.asarray(X[first : first + group_size], np.float64)
        expected = np.sqrt(group.var(0) + 1e-8).mean()
        np.testing.assert_allclose(out[i, ..., 5], np.full((3, 2), expected), rtol=1e-5)


def test_features_and_narrow_dtypes():
    assert nets.minibatch_stddev(jnp.ones((4, 7))).shape == (4, 8)
    assert nets.minibatch_stddev(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_groups_do_not_straddle_devices():
    split = jax.pmap(lambda x: nets.minibatch_stddev(x, 2))(X.reshape(8, 2, 3, 2, 5))
    np.testing.assert_allclose(
        split.reshape(16, 3, 2, 6), nets.minibatch_stddev(X, 2), rtol=1e-6, atol=1e-7
    )


def test_gradient_is_finite_where_a_group_is_constant():
    gradient = jax.grad(lambda x: nets.minibatch_stddev(x).sum())(jnp.ones((4, 3)))
    assert bool(jnp.isfinite(gradient).all())


@pytest.mark.parametrize("group_size", [0, 3, 5])
def test_refuses_groups_that_do_not_divide(group_size):
    with pytest.raises(ValueError, match=rf"group_size={group_size} .* 16 examples .* divides 16"):
        nets.minibatch_stddev(X, group_size)
