"""Statistics of groups against NumPy loops, and their independence from the devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_devices, check_gradients
from nets.compiled import compiled

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


@pytest.mark.parametrize("group_size", [None, 2, 8])
def test_discrimination_equals_a_loop_over_pairs(group_size):
    network = compiled(nets.MinibatchDiscrimination(3, 4, group_size, nets.dcgan_normal))
    variables = network.init(KEY, X)
    out, _ = network.apply(variables, X, context=CONTEXT)
    assert out.shape == (16, 30 + 3)
    np.testing.assert_array_equal(out[:, :30], X.reshape(16, -1))
    tensor = np.asarray(variables["params"]["kernel"], np.float64)
    m = (np.asarray(X, np.float64).reshape(16, -1) @ tensor).reshape(16, 3, 4)
    size = group_size or 16
    for i in range(16):
        first = i // size * size
        others = [j for j in range(first, first + size) if j != i]
        expected = sum(np.exp(-np.abs(m[i] - m[j]).sum(axis=1)) for j in others)
        np.testing.assert_allclose(out[i, 30:], expected, rtol=1e-4)


def test_discrimination_is_a_batch_statistic_with_gradients():
    module = nets.MinibatchDiscrimination(3, 4, 2)
    check_gradients(module, X)
    check_devices(module, X[:4])
    init, apply = nets.from_linen(module)
    variables = init(KEY, X)
    jaxpr = jax.make_jaxpr(lambda x: apply(variables, x, context=CONTEXT)[0])(X)
    assert "batch_statistic/MinibatchDiscrimination" in str(jaxpr)


def test_discrimination_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match=r"MinibatchDiscrimination: group_size=3 .* 16 examples"):
        compiled(nets.MinibatchDiscrimination(3, 4, 3)).init(KEY, X)
