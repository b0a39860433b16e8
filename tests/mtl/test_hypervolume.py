"""Hypervolume maximisation: its gradient, the nadir point, and losses of any sign."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import hypervolume


@pytest.mark.parametrize("slack", [1.05, 1.5])
def test_the_gradient_at_the_nadir_point_of_the_code(slack):
    def scalar(x):
        nadir = jax.lax.stop_gradient(slack * x.max() + 1e-8)
        return -jnp.log(nadir - x).sum()

    w.check_scalarisation(hypervolume(slack), scalar, w.losses_of())
    w.check_laws(lambda: hypervolume(slack), w.losses_of())


def test_a_fixed_nadir_point():
    w.check_scalarisation(hypervolume(eta=5.0), lambda x: -jnp.log(5.0 - x).sum(), w.losses_of())
    weights, _ = w.double(hypervolume(eta=1.0), np.array([[0.5, 1.0, 2.0]]))
    np.testing.assert_array_equal(np.isnan(weights[0]), [False, True, True])


def test_golden_values():
    """eta = 1.1 * 2 = 2.2: 1 / 1.7, 1 / 1.2, 1 / 0.2."""
    found = w.double(hypervolume(1.1), np.array([[0.5, 1.0, 2.0]]))[0][0]
    np.testing.assert_allclose(found, [0.5882353, 0.8333333, 5.0], rtol=1e-6)


@pytest.mark.parametrize("shift", [-10.0, -1.0, 0.0])
def test_losses_of_any_sign_have_positive_weights_in_the_order_of_the_losses(shift):
    losses = np.array([[0.5, 1.0, 2.0]]) + shift
    weights = w.double(hypervolume(), losses)[0][0]
    assert not hypervolume().positive
    assert (weights > 0).all() and (np.diff(weights) > 0).all()


def test_a_large_slack_makes_the_weights_equal():
    weights = w.double(hypervolume(1e6), w.losses_of())[0]
    np.testing.assert_allclose(weights / weights[:, :1], 1.0, rtol=1e-5)


def test_losses_of_zero_stay_finite():
    assert np.isfinite(w.trajectory(hypervolume(), np.zeros((1, 3), np.float32))[0]).all()
    with pytest.raises(ValueError, match="slack: expected a number > 1"):
        hypervolume(1.0)
