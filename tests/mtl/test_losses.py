"""What loss weightings share: absent tasks, the pullback of a softmax, parameters that learn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.mtl import _losses as shared

INFO = np.finfo(np.float32)


def test_a_loss_of_zero_is_absent_and_a_negative_one_broken():
    losses = jnp.array([2.0, 0.0, -0.0, -1.0, INFO.tiny, INFO.tiny / 4, jnp.inf, jnp.nan])
    values, present = shared.positive(losses)
    nan, inf = np.nan, np.inf
    np.testing.assert_array_equal(values, np.float32([2, 1, 1, nan, INFO.tiny, 1, inf, nan]))
    np.testing.assert_array_equal(present, [True, False, False, True, True, False, True, True])
    assert values.dtype == jnp.float32


def test_absence_is_judged_in_the_precision_of_the_losses():
    """1e-60 is 0 in float32, and a loss in float64."""
    with jax.enable_x64(True):
        values, present = shared.positive(jnp.array([1e-60, 0.0]))
        np.testing.assert_array_equal(values, [1e-60, 1.0])
        np.testing.assert_array_equal(present, [True, False])


def test_a_logarithm_of_the_values_has_a_finite_gradient_for_absent_tasks():
    def total(losses):
        values, present = shared.positive(losses)
        return jnp.where(present, jnp.log(values), 0).sum()

    np.testing.assert_allclose(jax.grad(total)(jnp.array([0.5, 0.0, 4.0])), [2.0, 0.0, 0.25])


def test_the_pullback_of_a_softmax_is_its_jacobian_transposed():
    draw = np.random.default_rng(0)
    with jax.enable_x64(True):
        for logits, gradient in zip(
            draw.normal(size=(5, 4)), draw.normal(size=(5, 4)), strict=True
        ):
            softmax = jax.nn.softmax(jnp.asarray(logits))
            found = shared.softmax_pullback(softmax, jnp.asarray(gradient))
            jacobian = np.diag(softmax) - np.outer(softmax, softmax)
            np.testing.assert_allclose(found, jacobian.T @ gradient, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(found.sum(), 0, atol=1e-15)


def test_numbers_by_objective_are_as_many_as_objectives():
    for given in (None, 0.5, (1.0, 2.0, 3.0), [0, 0, 0]):
        shared.one_each("alpha", given, 3)
    with pytest.raises(ValueError, match=r"alpha: expected 3 numbers.* got \(1\.0, 2\.0\)"):
        shared.one_each("alpha", (1.0, 2.0), 3)
    with pytest.raises(ValueError, match=r"alpha: expected 2 numbers.* got \[1\]"):
        shared.one_each("alpha", [1], 2)


def test_a_learned_parameter_follows_its_optimizer():
    """Momentum by hand: v = 0.9 v + g, x = x - 0.1 v."""
    optimizer = optax.sgd(0.1, momentum=0.9)
    x, v = np.array([1.0, -2.0]), np.zeros(2)
    parameter = shared.learned(jnp.asarray(x, jnp.float32), optimizer)
    for step in range(4):
        gradient = np.array([0.5, step - 1.0])
        v = 0.9 * v + gradient
        x = x - 0.1 * v
        parameter = shared.descend(parameter, jnp.asarray(gradient, jnp.float32), optimizer)
        np.testing.assert_allclose(parameter.value, x, rtol=1e-6)


def test_what_an_optimizer_widens_is_cast_back():
    """With wide numbers enabled a gradient of float64 leaves value and moments in float32."""
    with jax.enable_x64(True):
        optimizer = optax.adam(0.1)
        start = shared.learned(jnp.zeros(2, jnp.float32), optimizer)
        step = jax.jit(lambda p, g: shared.descend(p, g, optimizer))
        moved = step(start, jnp.array([1.0, -3.0]))
        kinds = [[x.dtype for x in jax.tree.leaves(tree)] for tree in (start, moved)]
        assert kinds[0] == kinds[1] and moved.value.dtype == jnp.float32
        np.testing.assert_allclose(moved.value, [-0.1, 0.1], rtol=1e-5)  # Adam's first step
