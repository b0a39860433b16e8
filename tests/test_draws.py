"""Draws belong to an example: its global number and the context's key alone decide them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import draws
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(11), jnp.zeros((), jnp.int32))


def draw(n, context):
    """Every kind of draw, side by side: shape [n, 6]."""
    kinds = (
        draws.normal(n, (3,), context.fold("normal")),
        draws.uniform(n, (2,), context.fold("uniform"), -2.0, 3.0),
        draws.integers(n, 5, context.fold("integers"))[:, None].astype(float),
    )
    return jnp.concatenate(kinds, axis=1)


flat = jax.jit(draw, static_argnums=0)


@pytest.fixture(scope="module")
def whole():
    """The draws of 24 examples, in one piece."""
    return np.asarray(flat(24, CONTEXT))


def test_example_i_draws_from_the_key_folded_with_i(whole):
    normal, uniform = CONTEXT.fold("normal").key, CONTEXT.fold("uniform").key
    for i in (0, 5, 23):
        expected = jax.random.normal(jax.random.fold_in(normal, i), (3,))
        np.testing.assert_array_equal(whole[i, :3], expected)
        expected = jax.random.uniform(jax.random.fold_in(uniform, i), (2,), minval=-2, maxval=3)
        np.testing.assert_array_equal(whole[i, 3:5], expected)


@pytest.mark.parametrize("slices", [2, 3, 8])
def test_slices_of_a_batch_draw_what_the_batch_draws(whole, slices):
    for offset in range(slices):
        part = flat(24 // slices, CONTEXT._replace(stride=slices, offset=offset))
        np.testing.assert_array_equal(part, whole[offset::slices])


def test_eight_devices_draw_what_one_draws(whole):
    n = 24 // jax.device_count()

    key = jax.random.key_data(CONTEXT.key)

    def device(_):
        context = CONTEXT._replace(key=jax.random.wrap_key_data(key), axis_name="batch")
        return draw(n, context)

    found = jax.pmap(device, axis_name="batch")(jnp.zeros(jax.device_count()))
    np.testing.assert_array_equal(np.asarray(found).reshape(24, -1), whole)


def test_the_first_examples_do_not_depend_on_the_size_of_the_batch(whole):
    np.testing.assert_array_equal(flat(5, CONTEXT), whole[:5])


def test_examples_tags_and_keys_draw_apart(whole):
    assert len(np.unique(whole[:, :5])) == whole[:, :5].size
    other = np.asarray(flat(24, CONTEXT.fold("other")))
    assert not np.isin(other[:, :5], whole[:, :5]).any()


def test_laws():
    context, n = CONTEXT.fold("laws"), 4000
    normal = np.asarray(draws.normal(n, (), context), np.float64)
    # Six standard errors of mean, variance and fourth moment: 1, sqrt(2) and sqrt(96) over sqrt(n).
    assert abs(normal.mean()) < 6 / np.sqrt(n)
    assert abs((normal**2).mean() - 1) < 6 * np.sqrt(2 / n)
    assert abs((normal**4).mean() - 3) < 6 * np.sqrt(96 / n)
    uniform = np.sort(np.asarray(draws.uniform(n, (), context, -2.0, 3.0), np.float64))
    assert uniform[0] >= -2 and uniform[-1] < 3
    steps = (np.arange(n) + 0.5) / n  # the Kolmogorov-Smirnov distance
    assert np.abs((uniform + 2) / 5 - steps).max() < 2.5 / np.sqrt(n)
    whole = np.asarray(draws.integers(n, 5, context))
    assert whole.dtype == np.int32 and set(whole) == {0, 1, 2, 3, 4}
    assert (np.abs(np.bincount(whole) - n / 5) < 6 * np.sqrt(n * 0.16)).all()


def test_any_draw_is_stacked_per_example():
    found = draws.per_example(lambda key: jax.random.permutation(key, 4), 6, CONTEXT)
    assert found.shape == (6, 4)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(4), (6, 1)))
