"""Path lengths of generators whose speed is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.metrics import path_distances, perceptual_path_length

RNG = np.random.default_rng(0)
A = RNG.normal(size=(5, 12))
START, END = RNG.normal(size=(2, 7, 5))
T = RNG.random(7)


def linear(w):
    return (w @ jnp.asarray(A, w.dtype)).reshape(-1, 2, 2, 3)


@pytest.mark.parametrize("epsilon", [1e-4, 1e-1, None])
def test_a_linear_generator_moves_at_the_speed_of_its_latent(epsilon):
    """In w, whatever epsilon and t: |(end - start) A|²."""
    with jax.enable_x64(True):
        got = path_distances(
            linear, jnp.asarray(START), jnp.asarray(END), jnp.asarray(T), epsilon=epsilon
        )
    np.testing.assert_allclose(got, np.square((END - START) @ A).sum(axis=1), rtol=1e-7)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_around_the_sphere_the_speed_is_the_angle(scale):
    """In z, for latents of one norm and f the identity: (norm angle)², as epsilon -> 0."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (START, END))
    angle = np.arccos((a * b).sum(axis=1))
    with jax.enable_x64(True):
        arguments = [jnp.asarray(x) for x in (scale * a, scale * b, T)]
        got, limit = (
            path_distances(lambda z: z, *arguments, space="z", epsilon=e) for e in (1e-4, None)
        )
        chord = path_distances(lambda z: z, *arguments, space="z", epsilon=0.5)
    np.testing.assert_allclose(limit, (scale * angle) ** 2, rtol=1e-10)
    np.testing.assert_allclose(got, (scale * angle) ** 2, rtol=1e-6)
    np.testing.assert_allclose(chord, (2 * scale * np.sin(angle / 4) / 0.5) ** 2, rtol=1e-10)


def test_both_paths_reach_both_ends():
    with jax.enable_x64(True):
        start, end, zero = jnp.asarray(START), jnp.asarray(END), jnp.zeros(7)
        for space in ("z", "w"):
            got = path_distances(lambda z: z, start, end, zero, space=space, epsilon=1.0)
            np.testing.assert_allclose(got, np.square(END - START).sum(axis=1), rtol=1e-10)


def test_the_limit_holds_for_a_generator_that_is_not_linear():
    with jax.enable_x64(True):
        arguments = [jnp.asarray(x) for x in (START, END, T)]
        for space in ("z", "w"):
            small, limit = (
                path_distances(lambda w: jnp.tanh(linear(w)), *arguments, space=space, epsilon=e)
                for e in (1e-6, None)
            )
            np.testing.assert_allclose(small, limit, rtol=1e-3)


def test_in_float32_under_jit_and_with_axes():
    arguments = [jnp.asarray(x, jnp.float32) for x in (START, END, T)]
    run = jax.jit(lambda a, b, t: path_distances(linear, a, b, t))
    np.testing.assert_allclose(run(*arguments), np.square((END - START) @ A).sum(axis=1), rtol=0.05)
    stacked = [jnp.stack([x, x], axis=1) for x in arguments[:2]]
    twice = path_distances(lambda w: w, stacked[0], stacked[1], arguments[2], epsilon=None)
    np.testing.assert_allclose(twice, 2 * np.square(END - START).sum(axis=1), rtol=1e-5)


def test_percentiles_are_values_that_occur():
    values = np.concatenate([[-1e9], np.arange(1.0, 200.0), [1e9]])
    low = np.percentile(values, 1, method="lower")
    high = np.percentile(values, 99, method="higher")
    expected = np.mean([v for v in values if low <= v <= high])
    assert perceptual_path_length(values) == pytest.approx(expected)
    assert perceptual_path_length([2.0, 4.0], 0, 100) == 3.0
    assert 1 < perceptual_path_length(values) < 200


def test_bad_input_is_refused_by_name():
    z, t = jnp.ones((3, 2)), jnp.ones(3)
    with pytest.raises(ValueError, match=r"\(3, 2\), \(2, 2\) and \(3,\)"):
        path_distances(lambda z: z, z, z[:2], t)
    with pytest.raises(ValueError, match="got 'x'"):
        path_distances(lambda z: z, z, z, t, space="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"positive step.*got 0\.0"):
        path_distances(lambda z: z, z, z, t, epsilon=0.0)
    with pytest.raises(ValueError, match="found inf or nan"):
        perceptual_path_length([1.0, np.nan])
    with pytest.raises(ValueError, match="got 99 and 1"):
        perceptual_path_length([1.0], 99, 1)
