"""What aggregators do with rows, against the Jacobian as one NumPy matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.mtl import _rows

TASKS = 3
SHAPES = {"bias": (), "kernel": (4, 5), "conv": (2, 3, 2)}


def rows_of(seed=0, leading=(TASKS,)):
    draw = np.random.default_rng(seed)
    return {n: draw.normal(size=(*leading, *s)).astype(np.float32) for n, s in SHAPES.items()}


def matrix(rows):
    """[T, number of parameters] in float64."""
    leaves = [np.asarray(x, np.float64).reshape(TASKS, -1) for x in jax.tree.leaves(rows)]
    return np.concatenate(leaves, axis=1)


def broken(rows, **where):
    """A copy with a value written into the first entry of a task's row of a leaf."""
    rows = {name: x.copy() for name, x in rows.items()}
    for name, (task, value) in where.items():
        rows[name].reshape(TASKS, -1)[task, 0] = value
    return rows


def test_factors_scale_whole_rows():
    rows, factors = rows_of(), np.array([2.0, 0.0, -0.5])
    found = _rows.scale(jnp.asarray(factors), rows)
    np.testing.assert_allclose(matrix(found), factors[:, None] * matrix(rows), rtol=1e-6)
    assert _rows.along(jnp.ones(TASKS), jnp.ones((TASKS, 2, 3, 2))).shape == (TASKS, 1, 1, 1)


def test_scaled_rows_keep_their_types():
    rows = {"a": jnp.ones((TASKS, 2), jnp.bfloat16), "b": jnp.ones((TASKS, 2), jnp.float32)}
    with jax.enable_x64(True):
        found = _rows.scale(jnp.arange(3.0), rows)
    assert {name: x.dtype for name, x in found.items()} == {n: x.dtype for n, x in rows.items()}


def test_lengths_and_sums_go_over_all_leaves():
    rows = rows_of(1)
    np.testing.assert_allclose(_rows.norms(rows), np.linalg.norm(matrix(rows), axis=1), rtol=1e-6)
    np.testing.assert_allclose(_rows.total(rows), matrix(rows).sum(axis=1), rtol=1e-4)


def test_lengths_accumulate_half_precision_in_float32():
    """A bfloat16 sum of 4096 ones would stop at 256."""
    found = _rows.norms({"w": jnp.ones((TASKS, 4096), jnp.bfloat16)})
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, 64.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("leaf", SHAPES)
def test_a_row_is_broken_by_any_of_its_entries(value, leaf):
    rows = broken(rows_of(), **{leaf: (1, value)})
    good = _rows.finite(rows)
    np.testing.assert_array_equal(good, [True, False, True])
    clean = matrix(_rows.without_broken(rows, good))
    np.testing.assert_array_equal(clean[1], 0)
    np.testing.assert_array_equal(clean[[0, 2]], matrix(rows)[[0, 2]])


def test_several_batches_lose_a_row_that_is_broken_in_one():
    batches = [
        broken(rows_of(0), kernel=(0, np.nan)),
        rows_of(1),
        broken(rows_of(2), bias=(2, 1.0)),
    ]
    stacked = {name: np.stack([one[name] for one in batches]) for name in SHAPES}
    found, good = _rows.batches(jax.tree.map(jnp.asarray, stacked), 3)
    np.testing.assert_array_equal(good, [False, True, True])
    assert len(found) == 3
    for clean, rows in zip(found, batches, strict=True):
        np.testing.assert_array_equal(matrix(clean)[0], 0)
        np.testing.assert_array_equal(matrix(clean)[1:], matrix(rows)[1:])


def test_what_is_reported_of_broken_rows():
    """NaN: the weights of broken rows, and all of the direction; nothing where all are whole."""
    direction = {"a": jnp.arange(2.0), "b": jnp.ones((2, 2), jnp.bfloat16)}
    weights = jnp.array([0.5, 0.0, 2.0])
    same, kept = _rows.reported(direction, weights, jnp.array([True, True, True]))
    np.testing.assert_array_equal(kept, weights)
    for x, y in zip(jax.tree.leaves(same), jax.tree.leaves(direction), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
    spoilt, named = _rows.reported(direction, weights, jnp.array([True, False, True]))
    np.testing.assert_array_equal(named, [0.5, np.nan, 2.0])
    assert all(np.isnan(np.asarray(x, float)).all() for x in jax.tree.leaves(spoilt))
