"""GradNorm: the gradient of its weights by autodiff, whole runs, and what it balances."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import weightings as w

from gan_mtl.mtl import from_weighting, gradnorm

LOSSES, GRAMIANS = w.losses_of(), w.gramians_of()


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_logits_descend_the_papers_loss(alpha):
    """Every step's gradient by autodiff of equation 2, the target held constant."""
    found, _ = w.double(gradnorm(alpha, optax.sgd(0.1)), LOSSES, GRAMIANS)
    with jax.enable_x64(True):
        s = jnp.zeros(3)

        def grad_loss(s, norms, rate):
            scaled = 3 * jax.nn.softmax(s) * norms
            target = jax.lax.stop_gradient(scaled.mean() * rate**alpha)
            return jnp.abs(scaled - target).sum()

        for step, weights in enumerate(found):
            np.testing.assert_allclose(weights, 3 * jax.nn.softmax(s), rtol=1e-10)
            rate = LOSSES[step] / LOSSES[0]
            norms = np.sqrt(np.diagonal(GRAMIANS[step]))
            s = s - 0.1 * jax.grad(grad_loss)(s, norms, rate / rate.mean())


def test_a_run_with_adam_by_hand():
    point, s, step, first, expected = np.zeros(2), np.zeros(3), w.adam(0.025), None, []
    for _ in range(8):
        losses, gradients = w.quadratics(point)
        first = losses if first is None else first
        share = w.softmax(s)
        norms, rate = np.linalg.norm(gradients, axis=1), losses / first
        off = 3 * share * norms - (3 * share * norms).mean() * (rate / rate.mean()) ** 1.5
        slope = 3 * np.sign(off) * norms
        point = point - 0.05 * 3 * share @ gradients
        s = step(s, share * (slope - share @ slope))
        expected.append(point)
    np.testing.assert_allclose(w.play_quadratics(gradnorm(), 8), expected, rtol=1e-9)


def test_laws():
    w.check_laws(gradnorm, LOSSES, GRAMIANS, tolerance=2e-3)
    assert gradnorm().positive and gradnorm().needs_gramian
    lifted = from_weighting(gradnorm())
    assert lifted.scales_private and lifted.positive


def test_weights_sum_to_the_number_of_tasks():
    found, _ = w.double(gradnorm(), LOSSES, GRAMIANS)
    np.testing.assert_allclose(found.sum(axis=1), 3.0, rtol=1e-12)


def test_a_broken_row_is_reported_and_does_not_spread():
    """Step 1 has no finite gradient for task 0: its weight is NaN, the state as if absent."""
    broken, absent = GRAMIANS.copy(), LOSSES.copy()
    broken[1, 0, :] = broken[1, :, 0] = np.nan
    absent[1, 0] = 0.0
    found, state = w.double(gradnorm(), LOSSES, broken)
    expected, same = w.double(gradnorm(), absent, GRAMIANS)
    assert np.isnan(found[1, 0]) and np.isfinite(found).sum() == found.size - 1
    np.testing.assert_array_equal(found[2:], expected[2:])
    np.testing.assert_array_equal(state.logits.value, same.logits.value)


def test_without_the_rates_the_gradient_norms_become_equal():
    norms = np.array([0.5, 1.0, 4.0])
    gramians = np.tile(np.diag(norms**2), (800, 1, 1))
    found, _ = w.double(gradnorm(0.0, optax.adam(0.01)), np.ones((800, 3)), gramians)
    scaled = found[-1] * norms
    np.testing.assert_allclose(scaled, scaled.mean(), rtol=0.03)


def test_given_first_losses_and_tasks_that_come_later():
    given, _ = w.double(gradnorm(first=tuple(LOSSES[0])), LOSSES, GRAMIANS)
    np.testing.assert_allclose(given, w.double(gradnorm(), LOSSES, GRAMIANS)[0], rtol=1e-12)
    late = LOSSES.copy()
    late[:2, 1] = 0.0
    _, state = w.double(gradnorm(), late, GRAMIANS)
    np.testing.assert_allclose(state.first, [LOSSES[0, 0], LOSSES[2, 1], LOSSES[0, 2]])
    with pytest.raises(ValueError, match="first: expected 3 numbers"):
        gradnorm(first=(1.0, 2.0)).init(3)
