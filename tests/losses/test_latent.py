"""LOGAN's step and unrolling: closed forms, matrices inverted by hand, finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.losses.latent import optimise_latents, unroll

RNG = np.random.default_rng(0)
W1, W2 = RNG.normal(size=(4, 6)), RNG.normal(size=6)


def value(params, z):
    w1, w2 = params
    return jnp.tanh(z @ w1) @ w2


def gradients(z):
    """Of tanh(z W1) W2, by hand in float64."""
    return ((1 - np.tanh(z @ W1) ** 2) * W2) @ W1.T


def central(function, params, step=1e-5):
    """The gradient of a scalar function of a list of arrays, by central differences."""
    slopes = []
    for i, array in enumerate(params):
        slope = np.zeros(array.shape)
        for index in np.ndindex(*array.shape):
            ends = []
            for sign in (1, -1):
                moved = [np.array(p, np.float64) for p in params]
                moved[i][index] += sign * step
                ends.append(float(function([jnp.array(p) for p in moved])))
            slope[index] = (ends[0] - ends[1]) / (2 * step)
        slopes.append(slope)
    return slopes


def test_natural_step_inverts_the_damped_fisher_matrix():
    z = RNG.uniform(-0.5, 0.5, size=(5, 4))
    with jax.enable_x64(True):
        params = jnp.array(W1), jnp.array(W2)
        got = optimise_latents(
            functools.partial(value, params), jnp.array(z), alpha=0.7, beta=2.0, bounds=None
        )
    for i, g in enumerate(gradients(z)):
        fisher = np.outer(g, g) + 2.0 * np.eye(4)
        np.testing.assert_allclose(got[i], z[i] + 0.7 * np.linalg.solve(fisher, g), rtol=1e-9)


def test_gradient_step_and_the_bounds():
    z = RNG.uniform(-0.9, 0.9, size=(5, 4))
    with jax.enable_x64(True):
        params = jnp.array(W1), jnp.array(W2)
        step = functools.partial(
            optimise_latents, functools.partial(value, params), jnp.array(z), method="gradient"
        )
        want = z + 0.9 * gradients(z)
        np.testing.assert_allclose(step(bounds=None), want, rtol=1e-9)
        np.testing.assert_allclose(step(), np.clip(want, -1, 1), rtol=1e-9)
        assert np.abs(want).max() > 1


def test_latents_of_images_and_of_a_flat_discriminator():
    """The norm is over all axes but the first; where the gradient is 0 nothing is NaN."""
    z = jnp.zeros((2, 3, 2))
    moved = optimise_latents(lambda z: z.sum(axis=(1, 2)), z, alpha=1.0, beta=2.0)
    np.testing.assert_allclose(moved, 1 / (6 + 2), rtol=1e-6)
    slope = jax.grad(lambda w: optimise_latents(lambda z: w * z.sum(axis=(1, 2)), z).sum())(0.0)
    np.testing.assert_allclose(slope, 12 * 0.9 / 5, rtol=1e-6)


@pytest.mark.parametrize("method", ["natural", "gradient"])
@pytest.mark.parametrize("through_step", [True, False])
def test_which_gradients_are_kept(method, through_step):
    """Through the step: finite differences of the whole. Else: of the value at fixed latents."""
    with jax.enable_x64(True):
        z = jnp.array(RNG.uniform(-0.5, 0.5, size=(2, 4)))
        params = [0.3 * jnp.array(W1), 0.3 * jnp.array(W2)]
        move = functools.partial(
            optimise_latents, beta=1.0, method=method, bounds=None, through_step=through_step
        )

        def loss(params):
            return value(params, move(functools.partial(value, params), z)).sum()

        fixed = move(functools.partial(value, params), z)
        whole = jax.jit(loss if through_step else lambda params: value(params, fixed).sum())
        got = jax.jit(jax.grad(loss))(params)
        for a, b in zip(got, central(whole, params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_unrolled_quadratic_is_the_closed_form():
    """L = a w^2 / 2: w_k = (1 - rate a)^k w, with its derivatives by a and w."""
    a, w, rate = 0.7, 1.3, 0.2

    def last(a, w):
        return unroll(lambda w: 0.5 * a * w**2, w, optax.sgd(rate), 5)

    got, slopes = jax.value_and_grad(last, (0, 1))(jnp.float32(a), jnp.float32(w))
    shrunk = 1 - rate * a
    np.testing.assert_allclose(got, shrunk**5 * w, rtol=1e-5)
    np.testing.assert_allclose(slopes[0], -5 * rate * shrunk**4 * w, rtol=1e-5)
    np.testing.assert_allclose(slopes[1], shrunk**5, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_second_order_gradients_against_finite_differences(name):
    """A generator's gradient through three steps of a discriminator, in float64."""
    optimizer = {
        "sgd": optax.sgd(0.3),
        "momentum": optax.sgd(0.1, momentum=0.9),
        "adam": optax.adam(0.1, eps_root=1e-8),
    }[name]
    with jax.enable_x64(True):
        real, z = jnp.array(RNG.normal(size=(3, 4))), jnp.array(RNG.normal(size=(3, 2)))
        disc = [0.3 * jnp.array(W1), 0.3 * jnp.array(W2)]
        gen = [jnp.array(RNG.normal(size=(2, 4)))]

        def loss(gen):
            fake = z @ gen[0]

            def disc_loss(disc):
                return (
                    jax.nn.softplus(-value(disc, real)) + jax.nn.softplus(value(disc, fake))
                ).mean()

            ahead = unroll(disc_loss, disc, optimizer, 3)
            return jax.nn.softplus(-value(ahead, fake)).mean()

        (got,) = jax.jit(jax.grad(loss))(gen)
        (want,) = central(jax.jit(loss), gen)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)

        frozen = unroll(
            lambda disc: value(disc, real).mean(), disc, optimizer, 0
        )  # no step: the same parameters
        assert all((a == b).all() for a, b in zip(frozen, disc, strict=True))


def test_unroll_goes_on_with_a_given_state():
    optimizer = optax.sgd(0.1, momentum=0.9)

    def loss(w):
        return jnp.square(w).sum()

    params, state = jnp.ones(3), optimizer.init(jnp.ones(3))
    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    halfway = optax.apply_updates(params, updates)
    got = unroll(loss, halfway, optimizer, 2, state=state)
    np.testing.assert_allclose(got, unroll(loss, params, optimizer, 3), rtol=1e-6)
    assert (unroll(loss, halfway, optimizer, 2) != got).all()


def test_bad_input_is_named():
    z = jnp.zeros((3, 2))
    with pytest.raises(ValueError, match=r"method.*'natural' or 'gradient'.*'newton'"):
        optimise_latents(lambda z: z[:, 0], z, method="newton")  # pyright: ignore
    with pytest.raises(ValueError, match="alpha > 0 and beta >= 0, got 0, 5"):
        optimise_latents(lambda z: z[:, 0], z, alpha=0)
    with pytest.raises(ValueError, match=r"bounds.*low < high, got \(1, 1\)"):
        optimise_latents(lambda z: z[:, 0], z, bounds=(1, 1))
    with pytest.raises(ValueError, match=r"z: expected latents.*\(3,\)"):
        optimise_latents(lambda z: z, jnp.zeros(3))
    with pytest.raises(ValueError, match=r"value_fn\(z\): expected one value per latent, 3, got 2"):
        optimise_latents(lambda z: z[:2, 0], z)
    with pytest.raises(ValueError, match="steps: expected a number >= 0, got -1"):
        unroll(lambda w: w, jnp.array(1.0), optax.sgd(0.1), -1)
