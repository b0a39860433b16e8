"""The matrices behind pooled convolutions on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.nets import pooled_conv_cpu


@pytest.mark.parametrize("k", [3, 5])
def test_matrix_of_a_kernel_against_a_loop(k):
    kernel = np.random.default_rng(0).normal(size=(k, k, 2, 3)).astype(np.float32)
    matrix = np.asarray(pooled_conv_cpu.to_matrix(jnp.asarray(kernel)))
    matrix = matrix.reshape(2, 2, 3, k + 1, k + 1, 2)
    for a, b, p, q in np.ndindex(2, 2, k + 1, k + 1):
        i, j = p - a, q - b
        expected = kernel[i, j].T if 0 <= i < k and 0 <= j < k else np.zeros((3, 2))
        np.testing.assert_array_equal(matrix[a, b, :, p, q], expected)


def test_columns_are_windows_at_every_second_pixel():
    x = np.asarray(jax.random.normal(jax.random.key(0), (2, 7, 9, 3)))
    pads = ((1, 0), (-1, 2))
    size = pooled_conv_cpu.halves((7, 9), 3, pads)
    assert size == (3, 4)
    columns = np.asarray(pooled_conv_cpu.columns(jnp.asarray(x), 3, size, pads))
    columns = columns.reshape(4, 4, 3, *size, 2)
    padded = np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))[:, :, 1:]
    for i, j in np.ndindex(*size):
        window = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
        np.testing.assert_array_equal(columns[:, :, :, i, j], window.transpose(1, 2, 3, 0))
