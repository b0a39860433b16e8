"""The sum of logarithms: its gradient, and that units do not matter."""

import jax.numpy as jnp
import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import gls, log_sum


def test_the_gradient_of_the_sum_of_logarithms():
    w.check_scalarisation(log_sum(), lambda x: jnp.log(x).sum(), w.losses_of())
    w.check_laws(log_sum, w.losses_of())
    assert log_sum().positive


def test_scaling_a_loss_leaves_its_weighted_gradient_alone():
    losses, scale = w.losses_of(), np.array([1e-6, 1.0, 1e5])
    plain, scaled = w.double(log_sum(), losses)[0], w.double(log_sum(), losses * scale)[0]
    np.testing.assert_allclose(scaled * scale, plain, rtol=1e-12)


@pytest.mark.parametrize("make", [log_sum, gls])
def test_an_absent_task_and_a_negative_loss(make):
    losses = np.array([[0.0, 0.5, 2.0], [-1.0, 0.5, 2.0]], np.float32)
    weights, _ = w.trajectory(make(), losses)
    assert weights[0, 0] == 0 and (weights[0, 1:] > 0).all()
    assert np.isnan(weights[1, 0])


def test_many_steps_by_hand():
    """Gradient descent on the sum of logarithms of three quadratics."""
    point, expected = np.zeros(2), []
    for _ in range(6):
        losses, gradients = w.quadratics(point)
        point = point - 0.05 * (gradients / losses[:, None]).sum(axis=0)
        expected.append(point)
    np.testing.assert_allclose(w.play_quadratics(log_sum(), 6), expected, rtol=1e-12)
