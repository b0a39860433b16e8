"""Trimmed mean: published value, SciPy as oracle, broken rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import trim_mean

from gan_mtl.mtl import trimmed_mean
from gan_mtl.mtl.trimmed_mean import sort_rows

KEY = jax.random.key(0)


def run(rows, num_trimmed):
    rows = {"w": jnp.asarray(rows, jnp.float32)}
    aggregator = trimmed_mean(num_trimmed)
    losses = jnp.ones(len(rows["w"]))
    direction, weights, _ = aggregator.update(KEY, losses, rows, aggregator.init(len(losses)))
    return np.asarray(direction["w"]), np.asarray(weights)


def test_published_value():
    rows = [[1e11, 3.0], [1.0, -1e11], [-1e10, 1e10], [2.0, 2.0]]
    direction, weights = run(rows, 1)
    np.testing.assert_allclose(direction, [1.5, 2.5])
    np.testing.assert_allclose(weights, [0.25, 0.25, 0, 0.5])


@pytest.mark.parametrize("num_trimmed", [0, 1, 2])
def test_is_the_trimmed_mean_of_every_coordinate(num_trimmed):
    rows = np.random.default_rng(0).normal(size=(5, 4, 3))
    direction, weights = run(rows, num_trimmed)
    np.testing.assert_allclose(direction, trim_mean(rows, num_trimmed / 5 + 1e-9), atol=1e-6)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11, 40])
def test_the_network_sorts(count):
    rows = np.random.default_rng(count).integers(0, 9, (count, 6, 7)).astype(np.float32)
    np.testing.assert_array_equal(sort_rows(jnp.asarray(rows)), np.sort(rows, axis=0))


def test_a_broken_row_is_named():
    rows = np.random.default_rng(0).normal(size=(5, 4))
    rows[2, 0] = np.nan
    direction, weights = run(rows, 1)
    assert np.isnan(direction).all()
    np.testing.assert_array_equal(np.isnan(weights), np.arange(5) == 2)


def test_too_few_tasks_are_refused():
    with pytest.raises(ValueError, match="trimmed_mean: expected more than 4 tasks, got 4"):
        trimmed_mean(2).init(4)
    with pytest.raises(ValueError, match="num_trimmed: expected a number >= 0, got -1"):
        trimmed_mean(-1)
