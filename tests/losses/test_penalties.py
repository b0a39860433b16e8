"""Gradient penalties: analytic values, the per-sample axis, finiteness, second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gan_mtl import draws
from gan_mtl.losses.penalties import dragan, gradient_penalty, max_gradient_penalty, r1, r2
from gan_mtl.types import Context

KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def images(i, shape=(5, 4, 3, 2)):
    return jax.random.normal(jax.random.fold_in(KEY, i), shape)


def linear(w):
    return lambda x: (x * w[None]).sum(axis=(1, 2, 3))


def mlp(params):
    w1, w2 = params
    return lambda x: jnp.tanh(x.reshape(len(x), -1) @ w1) @ w2


PARAMS = (images(7, (24, 16)) / 4, images(8, (16,)))


@pytest.mark.parametrize("per_example", [False, True])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_linear_discriminator_is_analytic(scale, per_example):
    w = scale * images(0, (4, 3, 2)) / jnp.sqrt(24)
    norm = np.linalg.norm(np.asarray(w, np.float64))
    real, fake = images(1), images(2)
    for values in (
        gradient_penalty(linear(w), real, fake, CONTEXT, per_example=per_example),
        dragan(linear(w), real, CONTEXT, per_example=per_example),
    ):
        assert values.shape == (5,)
        np.testing.assert_allclose(values, (norm - 1) ** 2, rtol=2e-5, atol=1e-7)
    for penalty in (r1, r2):
        values = penalty(linear(w), real, per_example=per_example)
        np.testing.assert_allclose(values, norm**2, rtol=1e-5)


def test_r1_of_a_quadratic():
    """D(x) = |x|^2 / 2 has gradient x, so R1 is |x|^2, with no factor of one half."""
    x = images(1)
    values = r1(lambda x: 0.5 * jnp.square(x).sum(axis=(1, 2, 3)), x)
    np.testing.assert_allclose(values, np.square(x).sum(axis=(1, 2, 3)), rtol=1e-6)


def test_norm_is_per_sample():
    """Examples with different slopes: a norm over the whole batch would mix them."""
    slopes = jnp.array([0.0, 1.0, 2.0, 5.0])
    x = jnp.ones((4, 3))
    values = gradient_penalty(lambda x: slopes * x[:, 0], x, 0 * x, CONTEXT)
    np.testing.assert_allclose(values, [1.0, 0.0, 1.0, 16.0], atol=3e-6)


def test_interpolation_draws_one_alpha_per_example():
    """With D(x) = |x|^2 / 2 the norm tells where each image was taken."""
    real, fake = jnp.full((64, 6), 3.0), jnp.zeros((64, 6))
    values = gradient_penalty(lambda x: 0.5 * jnp.square(x).sum(axis=1), real, fake, CONTEXT)
    alpha = draws.uniform(64, (), CONTEXT.fold("gradient_penalty"))
    np.testing.assert_allclose(values, (3 * np.sqrt(6) * alpha - 1) ** 2, rtol=1e-4, atol=1e-5)
    assert len(np.unique(alpha)) > 60


def test_against_no_epsilon_in_float64():
    with jax.enable_x64(True):
        params = tuple(p.astype(jnp.float64) for p in PARAMS)
        real, fake = images(1).astype(jnp.float64), images(2).astype(jnp.float64)
        got = gradient_penalty(mlp(params), real, fake, CONTEXT)
        a = draws.uniform(5, (), CONTEXT.fold("gradient_penalty")).astype(jnp.float64)
        a = a[:, None, None, None]
        gradient = jax.vmap(jax.grad(lambda x: mlp(params)(x[None])[0]))(a * real + (1 - a) * fake)
        norm = np.sqrt(np.square(gradient).sum(axis=(1, 2, 3)))
        assert got.dtype == jnp.float64
        np.testing.assert_allclose(got, (norm - 1) ** 2, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("penalty", ["gp", "r1", "dragan"])
def test_second_derivative(penalty):
    """The gradient by the parameters against central differences, in float64."""
    with jax.enable_x64(True):
        params = tuple(p.astype(jnp.float64) for p in PARAMS)
        real, fake = images(1).astype(jnp.float64), images(2).astype(jnp.float64)

        def loss(params):
            match penalty:
                case "gp":
                    return gradient_penalty(mlp(params), real, fake, CONTEXT).mean()
                case "r1":
                    return r1(mlp(params), real).mean()
                case _:
                    return dragan(mlp(params), real, CONTEXT).mean()

        check_grads(loss, (params,), order=1, modes=["rev"], rtol=1e-5, atol=1e-5)


def test_flat_discriminator_has_finite_gradients():
    """At a gradient of exactly zero the square root has no derivative."""
    flat = jax.tree.map(jnp.zeros_like, PARAMS)
    real, fake = images(1), images(2)
    for loss in (
        lambda p: gradient_penalty(mlp(p), real, fake, CONTEXT).mean(),
        lambda p: dragan(mlp(p), real, CONTEXT).mean(),
        lambda p: r1(mlp(p), real).mean(),
    ):
        value, gradient = jax.value_and_grad(loss)(flat)
        assert jnp.isfinite(value)
        assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_batch_statistics_make_the_two_gradients_differ():
    """A discriminator that centres its batch: the sum is flat, an image alone is not."""

    def centred(x):
        return (x - x.mean(axis=0, keepdims=True)).sum(axis=1) + 2 * x[:, 0] * (len(x) == 1)

    x = images(1, (6, 3))
    np.testing.assert_allclose(r1(centred, x), 0, atol=1e-10)
    np.testing.assert_allclose(r1(centred, x, per_example=True), 4, rtol=1e-6)


def test_without_them_the_two_gradients_are_equal():
    alone = r1(mlp(PARAMS), images(1), per_example=True)
    np.testing.assert_allclose(r1(mlp(PARAMS), images(1)), alone, rtol=1e-5)


def test_dragan_noise():
    """Noise of half the batch's deviation, around the data: seen through a quadratic D."""
    real = 2.0 + 0.3 * images(3, (400, 50))
    values = dragan(lambda x: 0.5 * jnp.square(x).sum(axis=1), real, CONTEXT)
    noise = draws.normal(400, (50,), CONTEXT.fold("dragan"))
    want = (np.linalg.norm(real + 0.5 * np.std(real) * noise, axis=1) - 1) ** 2
    np.testing.assert_allclose(values, want, rtol=1e-4)


def test_devices_see_the_same_draws_and_deviation():
    real, fake = images(1, (16, 3)) * jnp.arange(1.0, 17.0)[:, None], images(2, (16, 3))

    def disc(x):
        return 0.5 * jnp.square(x).sum(axis=1)

    def both(real, fake, axis_name):
        context = CONTEXT._replace(axis_name=axis_name)
        return gradient_penalty(disc, real, fake, context), dragan(disc, real, context)

    mapped = jax.pmap(lambda r, f: both(r, f, "i"), axis_name="i")
    got = mapped(real.reshape(8, 2, 3), fake.reshape(8, 2, 3))
    for a, b in zip(got, both(real, fake, None), strict=True):
        np.testing.assert_allclose(a.reshape(16), b, rtol=1e-5)


def test_max_gradient_penalty_is_the_largest_squared_norm():
    """Examples with different slopes, moved by interpolation not at all (real is fake)."""
    slopes, x = jnp.array([0.5, -3.0, 2.0]), images(1, (3, 4))

    def disc(slopes):
        return lambda x: slopes * x[:, 0] + 0.1 * slopes * x[:, 1]

    def loss(slopes):
        return max_gradient_penalty(disc(slopes), x, x, CONTEXT)

    value, slope = jax.value_and_grad(loss)(slopes)
    assert value.shape == ()
    np.testing.assert_allclose(value, 9 * 1.01, rtol=1e-6)
    np.testing.assert_allclose(slope, [0.0, -6 * 1.01, 0.0], rtol=1e-6)


def test_max_gradient_penalty_interpolates():
    real, fake = jnp.full((64, 6), 3.0), jnp.zeros((64, 6))
    value = max_gradient_penalty(lambda x: 0.5 * jnp.square(x).sum(axis=1), real, fake, CONTEXT)
    alpha = draws.uniform(64, (), CONTEXT.fold("max_gradient_penalty"))
    np.testing.assert_allclose(value, 54 * float(alpha.max()) ** 2, rtol=1e-5)


def test_max_gradient_penalty_over_devices():
    """The maximum of all devices, and its gradient once, not once per device."""
    real, fake = images(1, (8, 24)), images(2, (8, 24))

    def loss(params, real, fake, axis_name):
        context = CONTEXT._replace(axis_name=axis_name)
        return max_gradient_penalty(mlp(params), real, fake, context)

    want, slope = jax.value_and_grad(loss)(PARAMS, real, fake, None)
    mapped = jax.pmap(
        lambda p, r, f: jax.value_and_grad(loss)(p, r, f, "i"), axis_name="i", in_axes=(None, 0, 0)
    )
    got, slopes = mapped(PARAMS, real.reshape(8, 1, 24), fake.reshape(8, 1, 24))
    np.testing.assert_allclose(got, np.full(8, want), rtol=1e-5)
    for a, b in zip(slopes, slope, strict=True):
        np.testing.assert_allclose(a.mean(axis=0), b, rtol=1e-4, atol=1e-6)


def test_bad_shapes_are_refused_by_name():
    real, fake = images(1), images(2)
    with pytest.raises(ValueError, match=r"disc_fn\(images\).*\(5, 1\).*\[:, 0\]"):
        r1(lambda x: x.reshape(5, -1)[:, :1], real)
    with pytest.raises(ValueError, match="expected one logit per image, 5, got 4"):
        r1(lambda x: x.reshape(5, -1)[:4, 0], real)
    with pytest.raises(ValueError, match="real and fake"):
        gradient_penalty(linear(jnp.ones((4, 3, 2))), real, fake[:3], CONTEXT)
    with pytest.raises(ValueError, match="real and fake"):
        max_gradient_penalty(linear(jnp.ones((4, 3, 2))), real, fake[:3], CONTEXT)
    with pytest.raises(ValueError, match=r"images.*\(3,\)"):
        r1(lambda x: x, jnp.ones(3))
