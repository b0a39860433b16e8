"""What losses and rows are computed in: float32, or float64 where they have that."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.mtl._precision import wide


@pytest.mark.parametrize(
    "given, found",
    [("bfloat16", "float32"), ("float16", "float32"), ("float32", "float32"), ("float64",) * 2],
)
def test_narrow_values_are_widened_exactly(given, found):
    with jax.enable_x64(True):
        values = jnp.asarray([[1 / 3, -2.5], [0.0, jnp.inf]], given)
        assert wide(values).dtype == found
        np.testing.assert_array_equal(np.asarray(wide(values), float), np.asarray(values, float))
