"""GradDrop: signs kept, their probability, leaks, broken rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.mtl import graddrop

KEY = jax.random.key(0)
P = 20000


def run(rows, leak=0.0, key=KEY):
    rows = {"w": jnp.asarray(rows, jnp.float32)}
    losses = jnp.ones(len(rows["w"]))
    aggregator = graddrop(leak)
    direction, weights, _ = aggregator.update(key, losses, rows, aggregator.init(len(losses)))
    return np.asarray(direction["w"]), np.asarray(weights)


def test_one_sign_is_kept_with_its_probability():
    """Rows 3, 1 and -2: P = (1 + 2/6) / 2 = 2/3 that the positive ones, 4, are kept, else -2."""
    direction, weights = run(np.array([[3.0], [1.0], [-2.0]]) * np.ones((3, P)))
    np.testing.assert_array_equal(np.unique(direction), [-2, 4])
    np.testing.assert_allclose((direction > 0).mean(), 2 / 3, atol=0.015)
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 1 / 3], atol=0.015)


def test_agreeing_rows_are_summed_and_zeros_stay():
    rows = np.array([[1.0, 0.0, -2.0], [2.0, 0.0, -1.0]])
    direction, weights = run(rows)
    np.testing.assert_allclose(direction, [3, 0, -3])
    np.testing.assert_allclose(weights, 1)


def test_leaks():
    """With leaks l the dropped gradients pass by l; with 1 it is the sum."""
    rows = np.array([[3.0], [-2.0]]) * np.ones((2, P))
    direction, _ = run(rows, leak=(0.5, 0.25))
    np.testing.assert_array_equal(np.unique(direction), [1.5 - 2, 3 - 0.5])
    np.testing.assert_allclose(run(rows, leak=1.0)[0], 1)


def test_draws_depend_on_the_key_and_the_leaf():
    rows = np.array([[1.0], [-1.0]]) * np.ones((2, 64))
    first, other = run(rows)[0], run(rows, key=jax.random.key(1))[0]
    assert (first != other).any()
    tree = {"a": jnp.asarray(rows), "b": jnp.asarray(rows)}
    direction, _, _ = graddrop().update(KEY, jnp.ones(2), tree, ())
    assert (direction["a"] != direction["b"]).any()


def test_a_broken_row_is_named_and_changes_no_other_weight():
    rows = np.random.default_rng(0).normal(size=(3, 50))
    absent = rows.copy()
    absent[1] = 0
    rows[1, 3] = np.inf
    direction, weights = run(rows)
    assert np.isnan(direction).all() and np.isnan(weights[1])
    np.testing.assert_array_equal(weights[[0, 2]], run(absent)[1][[0, 2]])


def test_what_it_refuses():
    with pytest.raises(ValueError, match=r"leak: expected numbers in \[0, 1\], got 2"):
        graddrop(2)
    with pytest.raises(ValueError, match="leak: expected 1 or 3 numbers"):
        graddrop((0.0, 0.5)).init(3)
