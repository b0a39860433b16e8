"""Path lengths: the closed form of a linear generator, the moving average, second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gan_mtl import draws
from gan_mtl.losses.path_lengths import (
    PathLengthState,
    path_length,
    path_length_init,
    path_lengths,
)
from gan_mtl.types import Context

KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
SHAPE = (4, 3, 2)  # oblong on purpose: the noise is divided by the root of h times w


def normal(i, shape):
    return jax.random.normal(jax.random.fold_in(KEY, i), shape)


def linear(kernel):
    """Images that are linear in the latents [n, d] or [n, layers, d]: J is the kernel."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    return lambda w: (w.reshape(len(w), -1) @ flat).reshape(len(w), *SHAPE)


def noise(n):
    y = np.asarray(draws.normal(n, SHAPE, CONTEXT.fold("path_length")), np.float64)
    return y.reshape(n, -1) / np.sqrt(4 * 3)


@pytest.mark.parametrize("layers", [None, 3])
def test_linear_generator_is_analytic(layers):
    kernel = normal(0, (5, 24) if layers is None else (layers, 5, 24))
    w = normal(1, (6, 5) if layers is None else (6, layers, 5))
    got = path_lengths(linear(kernel), w, CONTEXT)
    y, j = noise(6), np.asarray(kernel, np.float64).reshape(-1, 5, 24)
    pulled = np.einsum("ldp,np->nld", j, y)
    want = np.sqrt((pulled**2).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_penalty_and_average_are_the_recursion():
    kernel, state, a = normal(0, (5, 24)), path_length_init(), 0.0
    for i in range(4):
        w, context = normal(i, (6, 5)), CONTEXT._replace(step=jnp.int32(i)).fold(i)
        lengths = np.asarray(path_lengths(linear(kernel), w, context), np.float64)
        values, state = path_length(linear(kernel), w, state, context, decay=0.25)
        a += 0.25 * (lengths.mean() - a)
        np.testing.assert_allclose(values, (lengths - a) ** 2, rtol=1e-4)
        np.testing.assert_allclose(state.a, a, rtol=1e-5)
    assert state.a.dtype == jnp.float32


def test_gradient_goes_through_the_average_and_not_through_the_state():
    """One latent and decay 1: the length is its own average, so value and slope vanish."""
    kernel, w = normal(0, (5, 24)), normal(1, (1, 5))

    def value(kernel, decay):
        return path_length(linear(kernel), w, path_length_init(), CONTEXT, decay=decay)[0].sum()

    assert value(kernel, 1.0) == 0 and (jax.grad(value)(kernel, 1.0) == 0).all()
    assert (jax.grad(value)(kernel, 0.5) != 0).any()
    kept = jax.grad(lambda k: path_length(linear(k), w, path_length_init(), CONTEXT)[1].a)(kernel)
    assert (kept == 0).all()


def test_second_derivative():
    with jax.enable_x64(True):
        params = normal(0, (5, 8)).astype(jnp.float64), normal(2, (8, 24)).astype(jnp.float64)
        w = normal(1, (3, 5)).astype(jnp.float64)
        state = PathLengthState(jnp.array(0.3))

        def loss(params):
            def synthesis(w):
                return (jnp.tanh(w @ params[0]) @ params[1]).reshape(-1, *SHAPE)

            values, _ = path_length(synthesis, w, state, CONTEXT)
            return values.mean()

        check_grads(loss, (params,), order=1, modes=["rev"], rtol=1e-5, atol=1e-5)


def test_a_generator_that_ignores_its_latents_has_finite_gradients():
    def loss(kernel):
        return path_length(linear(kernel), normal(1, (3, 5)), path_length_init(), CONTEXT)[0].sum()

    value, slope = jax.value_and_grad(loss)(jnp.zeros((5, 24)))
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_devices_see_one_average_and_the_same_noise():
    kernel, w = normal(0, (5, 24)), normal(1, (8, 5))

    def mean(kernel, w, axis_name):
        context = CONTEXT._replace(axis_name=axis_name)
        values, state = path_length(linear(kernel), w, path_length_init(), context)
        return values.mean(), (values, state)

    (_, want), slope = jax.value_and_grad(mean, has_aux=True)(kernel, w, None)
    mapped = jax.pmap(
        lambda k, w: jax.value_and_grad(mean, has_aux=True)(k, w, "i"),
        axis_name="i",
        in_axes=(None, 0),
    )
    (_, got), slopes = mapped(kernel, w.reshape(8, 1, 5))
    np.testing.assert_allclose(got[0].reshape(8), want[0], rtol=1e-5)
    np.testing.assert_allclose(got[1].a, np.full(8, want[1].a), rtol=1e-6)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-4, atol=1e-6)


def test_bad_input_is_named():
    synthesis = linear(normal(0, (5, 24)))
    with pytest.raises(ValueError, match=r"w: expected latents.*\(5,\)"):
        path_lengths(synthesis, jnp.ones(5), CONTEXT)
    with pytest.raises(ValueError, match=r"synthesis\(w\).*\[2, h, w, c\].*\(2, 24\)"):
        path_lengths(lambda w: synthesis(w).reshape(2, 24), jnp.ones((2, 5)), CONTEXT)
    with pytest.raises(ValueError, match=r"decay.*2"):
        path_length(synthesis, jnp.ones((2, 5)), path_length_init(), CONTEXT, decay=2.0)
