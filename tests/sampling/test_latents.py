"""Truncated latents against SciPy's distribution; paths by their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_mtl.sampling import interpolation_grid, lerp, slerp, traverse, truncated_normal
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
RNG = np.random.default_rng(0)
A, B, C, D = (jnp.asarray(x, jnp.float32) for x in RNG.normal(size=(4, 6)))
T = jnp.linspace(0.0, 1.0, 5)


@pytest.mark.parametrize("threshold", [0.2, 1.0, 2.0])
def test_truncated_normal_has_the_distribution_of_drawing_again(threshold):
    z = np.asarray(truncated_normal(300, (20,), CONTEXT, threshold))
    assert z.shape == (300, 20) and np.abs(z).max() < threshold
    expected = stats.truncnorm(-threshold, threshold)
    assert stats.kstest(z.ravel(), expected.cdf).pvalue > 1e-3


def test_draws_belong_to_the_global_example():
    whole = truncated_normal(6, (3,), CONTEXT, 1.0)
    part = truncated_normal(2, (3,), CONTEXT._replace(offset=4), 1.0)
    np.testing.assert_array_equal(part, whole[4:])


def test_lerp_and_slerp_have_their_ends():
    for between in (lerp, slerp):
        path = between(A, B, T)
        assert path.shape == (5, 6)
        np.testing.assert_allclose(path[0], A, atol=1e-6)
        np.testing.assert_allclose(path[-1], B, atol=1e-6)
    np.testing.assert_allclose(lerp(A, B, T)[1], 0.75 * A + 0.25 * B, rtol=1e-5)


def test_slerp_keeps_norm_and_moves_by_equal_angles():
    a, b = 3 * A / jnp.linalg.norm(A), 3 * B / jnp.linalg.norm(B)
    path = np.asarray(slerp(a, b, T), np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 3, rtol=1e-5)
    angles = np.arccos((path[1:] * path[:-1]).sum(axis=1) / 9)
    np.testing.assert_allclose(angles, np.arccos(float(a @ b) / 9) / 4, rtol=1e-4)


def test_slerp_of_one_direction_is_the_line():
    np.testing.assert_allclose(slerp(A, 2 * A, T), lerp(A, 2 * A, T), rtol=1e-5)
    np.testing.assert_allclose(slerp(A, A, T), jnp.tile(A[None], (5, 1)), rtol=1e-5)
    assert bool(jnp.isfinite(slerp(jnp.zeros(3), jnp.ones(3), T)).all())


@pytest.mark.parametrize("between", [lerp, slerp])
def test_grids(between):
    corners = jnp.stack([A, B, C, D])
    grid = interpolation_grid(corners, 3, 5, between)
    assert grid.shape == (3, 5, 6)
    for place, corner in (((0, 0), A), ((0, 4), B), ((2, 0), C), ((2, 4), D)):
        np.testing.assert_allclose(grid[place], corner, atol=1e-5)
    top, bottom = between(A, B, T), between(C, D, T)
    np.testing.assert_allclose(
        grid[1, 2], between(top[2], bottom[2], jnp.array([0.5]))[0], atol=1e-5
    )
    np.testing.assert_allclose(interpolation_grid(corners[:2], 1, 5, between)[0], top, atol=1e-6)


def test_images_as_latents():
    a, b = jnp.ones((2, 3, 1)), jnp.arange(6.0).reshape(2, 3, 1)
    assert interpolation_grid(jnp.stack([a, b]), 1, 4).shape == (1, 4, 2, 3, 1)


def test_traverse_varies_one_code():
    latents = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    values = jnp.array([-2.0, 0.0, 2.0])
    got = traverse(latents, 2, values)
    assert got.shape == (3, 3, 4)
    for i in range(3):
        for j in range(3):
            expected = np.asarray(latents[i]).copy()
            expected[2] = values[j]
            np.testing.assert_array_equal(got[i, j], expected)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"threshold: .*got 0"):
        truncated_normal(2, (3,), CONTEXT, 0)
    with pytest.raises(ValueError, match="2 or 4 latents, got 3"):
        interpolation_grid(jnp.ones((3, 2)), 2, 2)
    with pytest.raises(ValueError, match="for 2 corners, got 2 and 5"):
        interpolation_grid(jnp.ones((2, 2)), 2, 5)
    with pytest.raises(ValueError, match="expected 0 to 3, a code of the latents, got 4"):
        traverse(jnp.ones((2, 4)), 4, T)
