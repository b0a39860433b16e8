"""From rows to their Gramian and back, against matrices in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.mtl import combine, from_weighting, gramian
from gan_mtl.types import Weighting

KEY = jax.random.key(0)
TASKS = 3
SHAPES = {"bias": (), "kernel": (4, 5), "conv": (2, 3, 3)}


def rows_of(seed, dtype: type = np.float32):
    draw = np.random.default_rng(seed)
    return {n: draw.normal(size=(TASKS, *s)).astype(dtype) for n, s in SHAPES.items()}


def matrix(rows):
    """The Jacobian in float64: shape [T, number of parameters]."""
    leaves = [np.asarray(x, np.float64).reshape(TASKS, -1) for x in jax.tree.leaves(rows)]
    return np.concatenate(leaves, axis=1)


def test_gramian_is_j_times_its_transpose():
    rows = rows_of(0)
    j = matrix(rows)
    found = np.asarray(gramian(rows))
    np.testing.assert_allclose(found, j @ j.T, rtol=1e-5)
    np.testing.assert_array_equal(found, found.T)


def test_gramian_accumulates_half_precision_rows_in_float32():
    """The squares of 4096 ones: a bfloat16 sum would stop at 256."""
    rows = {"w": jnp.ones((TASKS, 4096), jnp.bfloat16), "b": jnp.ones((TASKS, 1), jnp.bfloat16)}
    found = gramian(rows)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, np.full((TASKS, TASKS), 4097.0))


def test_gramian_keeps_float64():
    with jax.enable_x64(True):
        rows = rows_of(1, np.float64)
        found = gramian(jax.tree.map(jnp.asarray, rows))
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, matrix(rows) @ matrix(rows).T, rtol=1e-13)


def test_combine_is_the_weighted_sum_in_the_rows_dtypes():
    rows = {name: jnp.asarray(x) for name, x in rows_of(2).items()}
    rows["kernel"] = rows["kernel"].astype(jnp.bfloat16)
    weights = jnp.array([0.5, -2.0, 0.25])
    found = combine(weights, rows)
    for name, shape in SHAPES.items():
        assert found[name].shape == shape and found[name].dtype == rows[name].dtype
        expected = np.tensordot(np.asarray(weights), np.asarray(rows[name], np.float64), axes=1)
        tolerance = 0.05 if name == "kernel" else 1e-5
        np.testing.assert_allclose(np.asarray(found[name], np.float64), expected, atol=tolerance)


def test_the_norm_of_a_combination_is_its_quadratic_form():
    rows, weights = rows_of(3), np.array([0.2, 0.5, -0.4], np.float32)
    direction = combine(jnp.asarray(weights), rows)
    squared = sum(float((x**2).sum()) for x in jax.tree.leaves(direction))
    np.testing.assert_allclose(squared, weights @ np.asarray(gramian(rows)) @ weights, rtol=1e-5)


def test_a_loss_weighting_is_given_no_gramian_and_scales_private_groups():
    def update(key, losses, products, state):
        assert products is None
        return losses / losses.sum(), state

    loss = Weighting(lambda n: (), update, needs_gramian=False)
    assert from_weighting(loss).scales_private
    losses = jnp.array([1.0, 3.0, 4.0])
    direction, weights, _ = from_weighting(loss).update(KEY, losses, rows_of(4), ())
    np.testing.assert_allclose(weights, [0.125, 0.375, 0.5])
    for name, rows in rows_of(4).items():
        expected = np.tensordot([0.125, 0.375, 0.5], rows, axes=1)
        np.testing.assert_allclose(direction[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_a_gramian_weighting_carries_its_state_over_steps(jit):
    """Weights 1 / (running mean of the rows' norms), four steps by hand."""

    def update(key, losses, products, state):
        count, mean = state
        mean = mean + (jnp.sqrt(jnp.diagonal(products)) - mean) / (count + 1)
        return 1 / mean, (count + 1, mean)

    norms = Weighting(
        lambda n: (jnp.zeros(()), jnp.zeros(n)), update, observe=lambda losses, state: state
    )
    aggregator = from_weighting(norms)
    assert not aggregator.scales_private and aggregator.observe is norms.observe
    step = jax.jit(aggregator.update) if jit else aggregator.update
    state, history = aggregator.init(TASKS), []
    for i in range(4):
        rows = rows_of(10 + i)
        direction, weights, state = step(KEY, jnp.ones(TASKS), rows, state)
        j = matrix(rows)
        history.append(np.linalg.norm(j, axis=1))
        expected = 1 / np.mean(history, axis=0)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
        got = np.concatenate([np.ravel(x) for x in jax.tree.leaves(direction)])
        np.testing.assert_allclose(got, expected @ j, rtol=1e-4, atol=1e-5)
    assert float(state[0]) == 4.0


def test_permuting_the_tasks_permutes_the_gramian_and_leaves_their_sum_alone():
    rows, order = rows_of(5), np.array([2, 0, 1])
    moved = {name: x[order] for name, x in rows.items()}
    expected = np.asarray(gramian(rows))[np.ix_(order, order)]
    np.testing.assert_allclose(gramian(moved), expected, rtol=1e-5)
    same = combine(jnp.ones(TASKS), moved), combine(jnp.ones(TASKS), rows)
    for a, b in zip(*map(jax.tree.leaves, same), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
