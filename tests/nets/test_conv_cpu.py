"""The rearrangement of pixels and kernels behind small convolutions on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.nets import conv_cpu


def test_to_space_inverts_to_depth():
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    blocks = conv_cpu.to_depth(x)
    assert blocks.shape == (2, 3, 2, 12)
    np.testing.assert_array_equal(blocks[0, 1, 1], np.asarray(x[0, 2:4, 2:4]).reshape(-1))
    np.testing.assert_array_equal(conv_cpu.to_space(blocks), x)


@pytest.mark.parametrize("k", [3, 5, 7])
def test_blocks_of_a_kernel_against_a_loop(k):
    kernel = np.random.default_rng(0).normal(size=(k, k, 2, 3)).astype(np.float32)
    blocks = np.asarray(conv_cpu.to_blocks(jnp.asarray(kernel)))
    half = (k + 1) // 2
    blocks = blocks.reshape(half, half, 2, 2, 2, 2, 2, 3)
    for index in np.ndindex(half, half, 2, 2, 2, 2):
        q, r, p, t, a, b = index
        i, j = 2 * q + p - a, 2 * r + t - b
        expected = kernel[i, j] if 0 <= i < k and 0 <= j < k else np.zeros((2, 3))
        np.testing.assert_array_equal(blocks[q, r, p, t, :, a, b, :], expected)


def test_rule_takes_lenets_and_leaves_others():
    for shape in [(5, 5, 1, 10), (5, 5, 10, 20), (3, 3, 1, 8)]:
        assert conv_cpu.gains(shape, (1, 1))
    for shape in [(3, 3, 1, 32), (5, 5, 32, 64), (4, 4, 1, 8), (1, 1, 4, 4)]:
        assert not conv_cpu.gains(shape, (1, 1))
    assert not conv_cpu.gains((5, 5, 1, 10), (2, 2))
