"""Weights learned on the simplex: both rules by hand, and the saddle point that they find."""

import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import learned_simplex

RULES = "exponentiated", "projected"


def project(v):
    """Onto the simplex, by bisection on the shift: no sorting."""
    low, high = v.min() - 1.0, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(v - low, 0)


def by_hand(losses, eta, rule):
    alpha, found = np.full(losses.shape[1], 1 / losses.shape[1]), []
    for row in losses:
        if rule == "exponentiated":
            alpha = alpha * np.exp(eta * row)
            alpha = alpha / alpha.sum()
        else:
            alpha = project(alpha + eta * row)
        found.append(alpha)
    return np.stack(found)


@pytest.mark.parametrize("eta", [0.01, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_by_hand(rule, eta):
    losses = w.losses_of(8) - 1.0
    found, _ = w.double(learned_simplex(eta, rule), losses)
    np.testing.assert_allclose(found, by_hand(losses, eta, rule), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_laws(rule):
    w.check_laws(lambda: learned_simplex(0.1, rule), w.losses_of())
    assert not learned_simplex(rule=rule).positive
    found = w.double(learned_simplex(0.1, rule), w.losses_of())[0]
    shifted = w.double(learned_simplex(0.1, rule), w.losses_of() - 7.0)[0]
    np.testing.assert_allclose(found, shifted, rtol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_descent_against_it_finds_the_point_of_least_largest_loss(rule):
    """Two of three unequal parabolas meet where their losses are equal; the mean does not."""
    path = w.play_quadratics(learned_simplex(0.05, rule), 600)
    worst = w.quadratics(path[-200:].mean(axis=0))[0].max()
    grid = np.linspace(-3, 4, 141)
    least = min(w.quadratics(np.array([x, y]))[0].max() for x in grid for y in grid)
    assert worst < least + 0.02
    mean = (w.SCALES[:, None] * w.TARGETS).sum(axis=0) / w.SCALES.sum()
    assert w.quadratics(mean)[0].max() > least + 0.1


def test_a_weight_that_vanished_can_return():
    losses = np.array([[0.0, 5.0]] * 40 + [[5.0, 0.0]] * 60)
    for rule, least in (("exponentiated", 1e-300), ("projected", 0.0)):
        found, _ = w.double(learned_simplex(0.5, rule), losses)
        assert found[39, 0] < 1e-8 and found[39, 0] >= least and found[-1, 0] > 0.99


def test_bad_arguments():
    with pytest.raises(ValueError, match="rule: expected one of"):
        learned_simplex(rule="mirror")  # pyright: ignore
    with pytest.raises(ValueError, match="eta: expected a number > 0"):
        learned_simplex(0.0)
