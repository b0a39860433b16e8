"""GMAN: softmax means in NumPy, their derivatives by differences, and the learned lambda."""

import numpy as np
import optax
import pytest
import weightings as w

from gan_mtl.mtl import gman

MEANS = "arithmetic", "geometric", "harmonic"


def papers_mean(v, lam, mean):
    """The three means as printed, for values of one sign, in float64."""
    weights = w.softmax(lam * v)
    if mean == "arithmetic":
        return weights @ v
    sign = np.sign(v[0])
    if mean == "geometric":
        return sign * np.exp(weights @ np.log(sign * v))
    return 1 / (weights @ (1 / v))


def slope(function, x, h=1e-6):
    return (function(x + h) - function(x - h)) / (2 * h)


def gradient(v, lam, mean):
    unit = np.eye(len(v))
    return np.array([slope(lambda t, e=e: papers_mean(v + t * e, lam, mean), 0.0) for e in unit])


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["positive", "negative"])
@pytest.mark.parametrize("lam", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("mean", MEANS)
def test_the_derivative_of_the_papers_mean(mean, lam, sign):
    losses = sign * w.losses_of(low=0.3)
    found, _ = w.double(gman(mean, lam), losses)
    expected = np.stack([gradient(v, lam, mean) for v in losses])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_arithmetic_weights_in_closed_form():
    v = w.losses_of(1)[0]
    s = w.softmax(2.0 * v)
    found = w.double(gman(lam=2.0), v[None])[0][0]
    np.testing.assert_allclose(found, s * (1 + 2.0 * (v - s @ v)), rtol=1e-12)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-12)


def test_lambda_zero_is_the_mean_and_a_large_one_the_maximum():
    losses = np.array([[0.5, 1.0, 2.0]])
    np.testing.assert_allclose(w.double(gman(lam=0.0), losses)[0][0], 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(w.double(gman(lam=100.0), losses)[0][0], [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("c", [None, 0.001])
def test_laws(c):
    w.check_laws(lambda: gman(c=c), w.losses_of())
    assert not gman().positive


@pytest.mark.parametrize("mean", MEANS)
def test_lambda_descends_the_mean_less_c_lambda(mean):
    """Five steps of SGD on rho, lambda = log(1 + e^rho); derivatives by differences."""
    losses, c, rho = w.losses_of(5, low=0.3), 0.4, np.log(np.expm1(1.5))
    found, state = w.double(gman(mean, 1.5, c, optax.sgd(0.2)), losses)
    for weights, v in zip(found, losses, strict=True):
        lam = np.log1p(np.exp(rho))
        np.testing.assert_allclose(weights, gradient(v, lam, mean), rtol=1e-5, atol=1e-7)
        outer = slope(lambda t, v=v: papers_mean(v, t, mean) - c * t, lam)
        rho -= 0.2 * outer * slope(lambda r: np.log1p(np.exp(r)), rho)
    np.testing.assert_allclose(state.value, rho, rtol=1e-6)


def test_lambda_rises_for_a_large_c_and_falls_for_a_small_one():
    losses = np.tile([0.5, 1.0, 2.0], (30, 1))
    start = np.log(np.expm1(1.0))
    for c, sign in ((10.0, 1), (1e-3, -1)):
        _, state = w.double(gman(c=c, optimizer=optax.sgd(0.01)), losses)
        assert np.sign(state.value - start) == sign


def test_values_of_both_signs_have_no_geometric_mean():
    losses = np.array([[0.5, -1.0, 2.0]])
    assert np.isnan(w.double(gman("geometric"), losses)[0]).all()
    assert np.isfinite(w.double(gman("arithmetic"), losses)[0]).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="mean: expected one of"):
        gman("median")  # pyright: ignore
    for arguments in ({"lam": -1.0}, {"lam": 0.0, "c": 0.1}):
        with pytest.raises(ValueError, match="lam: expected"):
            gman(**arguments)
