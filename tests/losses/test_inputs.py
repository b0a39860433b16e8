"""Checks at the boundary of a loss: what passes, in which precision, and what is said otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import _inputs as inputs


@pytest.mark.parametrize(
    "given, found",
    [("bfloat16", "float32"), ("float16", "float32"), ("float32", "float32"), ("float64",) * 2],
)
def test_half_precision_is_widened_and_the_rest_stays(given, found):
    with jax.enable_x64(True):
        values = jnp.asarray([1.0, -0.5, 1 / 3], given)
        wide = inputs.wide("values", values)
        assert wide.dtype == found and wide.shape == (3,)
        np.testing.assert_array_equal(np.asarray(wide, float), np.asarray(values, float))


def test_arrays_of_numpy_are_taken():
    wide = inputs.wide("values", np.ones((2, 3), np.float16))
    assert isinstance(wide, jax.Array) and wide.dtype == jnp.float32


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_numbers_that_are_not_floating_are_refused_by_name(dtype):
    match = rf"images: expected floating.*got dtype {dtype}.*images\.astype\('float32'\)"
    for check in (inputs.wide, inputs.logits_of, inputs.rows_of):
        with pytest.raises(TypeError, match=match):
            check("images", jnp.ones((4, 2), dtype))


def test_logits_are_one_per_example():
    logits = inputs.logits_of("real", jnp.ones(4, jnp.bfloat16))
    assert logits.shape == (4,) and logits.dtype == jnp.float32
    with pytest.raises(ValueError, match=r"real.*shape \[n\], got \(4, 1\); take .*real\[:, 0\]"):
        inputs.logits_of("real", jnp.ones((4, 1)))
    for shape in ((), (4, 2), (4, 1, 1), (4, 3, 3)):
        with pytest.raises(ValueError, match=r"real.*return one number per example"):
            inputs.logits_of("real", jnp.ones(shape))


def test_rows_have_two_axes():
    rows = inputs.rows_of("features", jnp.ones((4, 2), jnp.float16))
    assert rows.shape == (4, 2) and rows.dtype == jnp.float32
    for shape in ((4,), (4, 2, 2)):
        with pytest.raises(ValueError, match=r"features: .*\[n, d\].*features\.reshape\(n, -1\)"):
            inputs.rows_of("features", jnp.ones(shape))


def test_unequal_shapes_are_refused_where_they_would_broadcast():
    inputs.same_shape(a=jnp.ones(3), b=jnp.zeros(3), c=jnp.ones(3, int))
    inputs.same_shape(a=jnp.ones((2, 3)))
    for shape in ((1,), (3, 1), (), (4,)):
        with pytest.raises(ValueError, match=r"a and c: shapes must be equal, got \(3,\) and \("):
            inputs.same_shape(a=jnp.ones(3), b=jnp.ones(3), c=jnp.ones(shape))


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 4, 3)])
def test_the_mean_over_everything_but_the_examples(shape):
    values = np.random.default_rng(0).normal(size=shape)
    found = inputs.per_example_mean(jnp.asarray(values, jnp.float32))
    np.testing.assert_allclose(found, [one.mean() for one in values], rtol=1e-5, atol=1e-6)
