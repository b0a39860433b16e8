"""Learned variances: weights, their gradient and whole runs against NumPy."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import weightings as w

from gan_mtl.mtl import uncertainty


@pytest.mark.parametrize("factor", [0.5, (0.5, 1.0, 1.0)])
def test_variances_descend_the_objective(factor):
    """Four steps of SGD on s, each gradient by autodiff of the paper's objective."""
    a = np.broadcast_to(factor, 3)
    w.check_descends(
        lambda optimizer: uncertainty(optimizer, s=-0.5, factor=factor),
        lambda s, losses: (a * jnp.exp(-s) * losses + s / 2).sum(),
        -0.5,
    )


def test_a_run_with_adam_by_hand():
    point, s, step, expected = np.zeros(2), np.zeros(3), w.adam(0.025), []
    for _ in range(8):
        losses, gradients = w.quadratics(point)
        weights = 0.5 * np.exp(-s)
        point = point - 0.05 * weights @ gradients
        s = step(s, 0.5 - weights * losses)
        expected.append(point)
    np.testing.assert_allclose(w.play_quadratics(uncertainty(), 8), expected, rtol=1e-10)


def test_laws():
    w.check_laws(uncertainty, w.losses_of())
    w.check_laws(lambda: uncertainty(optax.sgd(0.1)), w.losses_of())
    assert uncertainty().positive


def test_left_alone_the_weights_go_to_half_the_inverse_of_the_losses():
    losses = np.tile([0.1, 1.0, 20.0], (300, 1))
    found, _ = w.double(uncertainty(optax.sgd(0.3)), losses)
    np.testing.assert_allclose(found[-1], 1 / (2 * losses[0]), rtol=1e-6)


def test_an_absent_task_keeps_its_variance():
    losses = np.array([[1.5, 0.0, 2.0]] * 3)
    _, state = w.double(uncertainty(), losses)
    assert state.value[1] == 0 and (state.value[[0, 2]] != 0).all()


def test_one_factor_per_objective():
    with pytest.raises(ValueError, match="factor: expected 3 numbers"):
        uncertainty(factor=(1.0, 0.5)).init(3)
