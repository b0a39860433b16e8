"""Auto-encoding discriminators: values in float64, BEGAN's control and its measure, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses.energies import (
    BeganState,
    began,
    began_init,
    began_update,
    energy_based,
)

RNG = np.random.default_rng(0)
R, F = np.abs(RNG.normal(size=(2, 16)))


def test_energy_based_values():
    with jax.enable_x64(True):
        loss = energy_based(0.6)
        r, f = jnp.array(R), jnp.array(F)
        np.testing.assert_allclose(loss.disc(r, f), R + np.maximum(0, 0.6 - F), rtol=1e-12)
        np.testing.assert_allclose(loss.gen(r, f), F, rtol=1e-12)


def test_energies_are_read_the_other_way_round():
    """D lowers the energy of reals and raises that of fakes below the margin; G lowers fakes'."""
    r, f = jnp.array([0.3, 0.3]), jnp.array([0.2, 2.0])
    real, fake = jax.grad(lambda r, f: energy_based(1.0).disc(r, f).sum(), (0, 1))(r, f)
    np.testing.assert_allclose(real, [1, 1])
    np.testing.assert_allclose(fake, [-1, 0])
    slope = jax.grad(lambda f: energy_based(1.0).gen(r, f).sum())(f)
    np.testing.assert_allclose(slope, [1, 1])


def test_began_values_and_k_is_a_constant():
    r, f = jnp.float32(R), jnp.float32(F)
    loss = began(BeganState(jnp.array(0.25)))
    np.testing.assert_allclose(loss.disc(r, f), R - 0.25 * F, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loss.gen(r, f), F, rtol=1e-6)
    slope = jax.grad(lambda k: began(BeganState(k)).disc(r, f).sum())(jnp.array(0.25))
    assert slope == 0


def test_began_control_against_the_recursion():
    state, k = began_init(), 0.0
    update = jax.jit(lambda s, r, f: began_update(s, r, f, gamma=0.7, lambda_k=0.1))
    for i in range(12):
        r, f = R, F * (0.2 + 0.1 * i)
        state, measure = update(state, jnp.float32(r), jnp.float32(f))
        balance = 0.7 * r.mean() - f.mean()
        k = min(max(k + 0.1 * balance, 0.0), 1.0)
        np.testing.assert_allclose(state.k, k, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(measure, r.mean() + abs(balance), rtol=1e-5)


def test_began_k_rises_where_fakes_are_too_easy_and_stays_in_its_box():
    r, f = jnp.ones(4), jnp.full(4, 0.1)
    assert began_update(began_init(), r, f)[0].k > 0
    assert began_update(began_init(), f, r)[0].k == 0
    assert began_update(BeganState(jnp.array(0.99)), r, f, lambda_k=10.0)[0].k == 1


def test_began_update_over_devices_and_without_gradient():
    r, f = jnp.float32(R), jnp.float32(F)
    mapped = jax.pmap(lambda r, f: began_update(began_init(), r, f, axis_name="i"), axis_name="i")
    state, measure = mapped(r.reshape(8, 2), f.reshape(8, 2))
    want, value = began_update(began_init(), r, f)
    np.testing.assert_allclose(state.k, np.full(8, want.k), rtol=1e-5)
    np.testing.assert_allclose(measure, np.full(8, value), rtol=1e-5)
    assert (jax.grad(lambda r: began_update(began_init(), r, f)[1])(r) == 0).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="margin: expected a number > 0, got 0"):
        energy_based(0)
    with pytest.raises(ValueError, match="gamma: expected a number > 0"):
        began_update(began_init(), jnp.ones(2), jnp.ones(2), gamma=0.0)
    for pair in (energy_based(1.0), began(began_init())):
        for player in (pair.disc, pair.gen):
            with pytest.raises(ValueError, match=r"real_energies and fake_energies.*\(3,\)"):
                player(jnp.ones(3), jnp.ones(2))
