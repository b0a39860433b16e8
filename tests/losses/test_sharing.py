"""Penalties for what tasks share: values in NumPy, gradients by hand, devices, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import orthogonality, relation_penalty, trace_norm, trace_norm_prox

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(6, 3))
ROOT = RNG.normal(size=(3, 3))
OMEGA = ROOT @ ROOT.T / np.trace(ROOT @ ROOT.T)


def test_relation_penalty_and_its_gradient():
    inverse = np.linalg.inv(OMEGA)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(lambda w: relation_penalty(w, jnp.asarray(OMEGA)))(
            jnp.asarray(WEIGHTS)
        )
    np.testing.assert_allclose(value, np.trace(WEIGHTS @ inverse @ WEIGHTS.T), rtol=1e-3)
    np.testing.assert_allclose(slope, 2 * WEIGHTS @ inverse, rtol=1e-3, atol=1e-3)


def test_independent_tasks_of_equal_weight_have_an_l2_penalty():
    found = relation_penalty(jnp.asarray(WEIGHTS), jnp.eye(3) / 3, ridge=0.0)
    np.testing.assert_allclose(found, 3 * (WEIGHTS**2).sum(), rtol=1e-5)


def test_a_singular_omega_is_finite_and_omega_is_a_constant():
    omega = jnp.ones((3, 3)) / 3
    value = relation_penalty(jnp.asarray(WEIGHTS), omega)
    assert jnp.isfinite(value) and value > 1e3  # the heads are not equal, as omega demands
    slope = jax.grad(relation_penalty, argnums=1)(jnp.asarray(WEIGHTS), jnp.asarray(OMEGA))
    np.testing.assert_array_equal(slope, 0)
    with pytest.raises(ValueError, match=r"omega: expected shape \(3, 3\)"):
        relation_penalty(jnp.asarray(WEIGHTS), jnp.eye(2))


@pytest.mark.parametrize("shape", [(6, 3), (2, 5)])
def test_trace_norm_and_its_derivative(shape):
    weights = np.random.default_rng(1).normal(size=shape)
    left, values, right = np.linalg.svd(weights, full_matrices=False)
    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(trace_norm))(jnp.asarray(weights))
    np.testing.assert_allclose(value, values.sum(), rtol=1e-12)
    np.testing.assert_allclose(slope, left @ right, atol=1e-10)


@pytest.mark.parametrize("x64", [False, True])
def test_the_subgradient_of_least_norm_where_the_rank_is_low(x64):
    """At u v' it is the product of the unit vectors; at 0 it is 0; it is always a subgradient."""
    u, v = RNG.normal(size=6), RNG.normal(size=3)
    with jax.enable_x64(x64):
        low = jnp.asarray(np.outer(u, v), float)
        slope = jax.grad(trace_norm)(low)
        unit = np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
        np.testing.assert_allclose(slope, unit, atol=1e-5)
        np.testing.assert_array_equal(jax.grad(trace_norm)(jnp.zeros((6, 3))), 0)
        for _ in range(10):
            other = jnp.asarray(RNG.normal(size=(6, 3)), float)
            bound = trace_norm(low) + (slope * (other - low)).sum()
            assert trace_norm(other) >= bound - 1e-4


def test_prox_solves_its_problem():
    tau = 0.7
    found = np.asarray(trace_norm_prox(jnp.asarray(WEIGHTS), tau))

    def objective(w):
        return tau * np.linalg.norm(w, "nuc") + ((w - WEIGHTS) ** 2).sum() / 2

    for _ in range(50):
        assert objective(found) < objective(found + 1e-2 * RNG.normal(size=found.shape))
    values = np.linalg.svd(WEIGHTS, compute_uv=False)
    np.testing.assert_allclose(
        np.linalg.svd(found, compute_uv=False), np.maximum(values - tau, 0), atol=1e-5
    )
    assert np.linalg.matrix_rank(trace_norm_prox(jnp.asarray(WEIGHTS), values[1] + 1e-3)) == 1


def test_orthogonality_as_printed_and_normalised():
    shared, private = RNG.normal(size=(8, 4)), RNG.normal(size=(8, 3))
    found = orthogonality(jnp.asarray(shared), jnp.asarray(private), normalise=False)
    np.testing.assert_allclose(found, np.linalg.norm(shared.T @ private) ** 2, rtol=1e-5)

    def unit(x):
        x = x - x.mean(axis=0)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    expected = np.linalg.norm(unit(shared).T @ unit(private) / 8) ** 2
    found = orthogonality(jnp.asarray(shared), jnp.asarray(private))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_normalised_orthogonality_lies_in_zero_to_one_and_has_no_scale():
    shared = jnp.asarray(RNG.normal(size=(64, 1)))
    np.testing.assert_allclose(orthogonality(shared, -shared), 1.0, atol=0.2)
    signs = jnp.asarray([[1.0], [-1.0]] * 32)
    np.testing.assert_allclose(orthogonality(signs, 3 * signs), 1.0, rtol=1e-5)
    other = jnp.asarray([[1.0], [1.0], [-1.0], [-1.0]] * 16)
    np.testing.assert_allclose(orthogonality(signs, other), 0.0, atol=1e-10)
    twice = jnp.concatenate([shared, shared]), jnp.concatenate([signs, signs])
    np.testing.assert_allclose(orthogonality(*twice), orthogonality(shared, signs), rtol=1e-4)
    slope = jax.grad(orthogonality)(jnp.zeros((4, 2)), jnp.ones((4, 3)))
    assert jnp.isfinite(slope).all()
    with pytest.raises(ValueError, match="same examples are needed, got 64 and 4"):
        orthogonality(shared, jnp.ones((4, 1)))


@pytest.mark.parametrize("normalise", [True, False])
def test_orthogonality_over_devices(normalise):
    """Moments are put together before the square; the mean of gradients is the true one."""
    x, w, v = (jnp.asarray(RNG.normal(size=s), jnp.float32) for s in ((16, 4), (4, 3), (4, 2)))

    def loss(w, x, axis_name=None):
        return orthogonality(jnp.tanh(x @ w), x @ v, axis_name, normalise=normalise)

    want, slope = jax.value_and_grad(loss)(w, x)
    mapped = jax.pmap(
        jax.value_and_grad(lambda w, x: loss(w, x, "i")), axis_name="i", in_axes=(None, 0)
    )
    got, slopes = mapped(w, x.reshape(8, 2, 4))
    np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-3, atol=1e-5)
