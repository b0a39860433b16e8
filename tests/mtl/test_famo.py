"""FAMO: the authors' code step by step in NumPy, with its Adam and its decay."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import weightings as w

from gan_mtl.mtl import famo

LOSSES = w.losses_of()
AFTER = LOSSES * np.random.default_rng(5).uniform(0.7, 1.1, LOSSES.shape)


def by_hand(losses, after, gamma, minima=0.0):
    xi, step, found = np.zeros(losses.shape[1]), w.adam(0.025), []
    for now, then in zip(losses, after, strict=True):
        z = w.softmax(xi)
        weights = z / (now - minima + 1e-8)
        found.append(weights / weights.sum())
        change = np.log(now - minima + 1e-8) - np.log(then - minima + 1e-8)
        xi = step(xi, z * (change - z @ change) + gamma * xi)
    return np.stack(found)


@pytest.mark.parametrize(("gamma", "minima"), [(0.01, 0.0), (0.0, 0.0), (0.5, 0.02)])
def test_the_authors_code_by_hand(gamma, minima):
    found, _ = w.double(famo(gamma, minima=minima), LOSSES, after=AFTER)
    np.testing.assert_allclose(found, by_hand(LOSSES, AFTER, gamma, minima), rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


def test_weights_are_the_gradient_of_the_scaled_sum_of_logarithms():
    with jax.enable_x64(True):
        z, losses = np.array([0.2, 0.5, 0.3]), jnp.asarray(LOSSES[0])
        state = famo().init(3)
        state = state._replace(xi=state.xi._replace(value=jnp.log(jnp.asarray(z))))
        c = 1 / (z / losses).sum()
        expected = jax.grad(lambda x: c * (z * jnp.log(x)).sum())(losses)
        found, _ = famo().update(w.KEY, losses, None, state)
        np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_a_run_by_hand_looks_at_the_losses_after_every_step():
    point, xi, step, expected = np.zeros(2), np.zeros(3), w.adam(0.025), []
    for _ in range(8):
        losses, gradients = w.quadratics(point)
        z = w.softmax(xi)
        weights = z / losses / (z / losses).sum()
        point = point - 0.05 * weights @ gradients
        change = np.log(losses) - np.log(w.quadratics(point)[0])
        xi = step(xi, z * (change - z @ change) + 0.01 * xi)
        expected.append(point)
    np.testing.assert_allclose(w.play_quadratics(famo(), 8), expected, rtol=1e-6)


def test_laws():
    w.check_laws(famo, LOSSES, after=AFTER, tolerance=1e-3)
    w.check_laws(lambda: famo(optimizer=optax.sgd(0.1)), LOSSES, after=AFTER)
    assert famo().positive


def test_units_do_not_matter_where_the_weighted_gradients_are_concerned():
    scale = np.array([1e-2, 1.0, 50.0])
    plain = w.double(famo(), LOSSES, after=AFTER)[0]
    scaled = w.double(famo(), LOSSES * scale, after=AFTER * scale)[0] * scale
    np.testing.assert_allclose(
        scaled / scaled.sum(axis=1, keepdims=True),
        plain / plain.sum(axis=1, keepdims=True),
        rtol=1e-5,
    )


def test_the_task_that_fell_least_gains_weight():
    losses = np.ones((20, 2))
    after = np.tile([0.99, 0.5], (20, 1))
    _, state = w.double(famo(0.0), losses, after=after)
    assert state.xi.value[0] > 0 > state.xi.value[1]


def test_an_absent_task_has_no_weight_and_the_others_keep_theirs():
    losses = np.array([[0.5, 0.0, 2.0]])
    found, state = w.double(famo(), losses, after=losses)
    np.testing.assert_allclose(found[0], [0.8, 0.0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(state.xi.value, 0.0, atol=1e-12)


def test_a_loss_below_its_minimum_is_not_hidden():
    weights, _ = w.double(famo(minima=(0.0, 1.0)), np.array([[0.5, 0.5]]), after=np.ones((1, 2)))
    assert np.isnan(weights).any()
    with pytest.raises(ValueError, match="minima: expected 3 numbers"):
        famo(minima=(0.0, 1.0)).init(3)
    with pytest.raises(ValueError, match="gamma: expected"):
        famo(-1.0)
