"""LeCam, consistency, mode seeking, top-k: float64 oracles, signs, devices, finiteness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses.stabilisers import (
    LeCamState,
    consistency,
    latent_consistency,
    lecam,
    lecam_init,
    lecam_update,
    mode_seeking,
    top_k_mask,
    top_k_size,
)

RNG = np.random.default_rng(0)
R, F = RNG.normal(size=16) + 1, RNG.normal(size=16) - 1


def test_lecam_values():
    with jax.enable_x64(True):
        got = lecam(jnp.array(R), jnp.array(F), LeCamState(jnp.array(0.7), jnp.array(-0.4)))
        want = np.maximum(R + 0.4, 0) ** 2 + np.maximum(0.7 - F, 0) ** 2
        assert got.dtype == jnp.float64
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_lecam_draws_reals_down_and_fakes_up_and_leaves_the_averages_alone():
    r, f = jnp.array([2.0, -3.0]), jnp.array([-2.0, 3.0])
    state = LeCamState(jnp.array(1.0), jnp.array(-1.0))
    real, fake, ema = jax.grad(lambda r, f, s: lecam(r, f, s).sum(), (0, 1, 2))(r, f, state)
    np.testing.assert_allclose(real, [6.0, 0.0])  # below the other side's average: no pull
    np.testing.assert_allclose(fake, [-6.0, 0.0])
    assert tuple(ema) == (0.0, 0.0)


def test_lecam_update_is_a_moving_average():
    state, real, fake = lecam_init(), 0.0, 0.0
    for i in range(20):
        r, f = R + i, F - i
        state = jax.jit(lecam_update)(state, jnp.float32(r), jnp.float32(f), 0.9)
        real, fake = 0.9 * real + 0.1 * r.mean(), 0.9 * fake + 0.1 * f.mean()
    np.testing.assert_allclose(state, (real, fake), rtol=1e-5)
    assert state.real.dtype == jnp.float32 and state.real.shape == ()


def test_lecam_update_with_no_memory_is_the_batch_mean():
    state = lecam_update(LeCamState(jnp.array(9.0), jnp.array(9.0)), jnp.ones(3), jnp.zeros(3), 0.0)
    assert tuple(state) == (1.0, 0.0)


def test_lecam_update_over_devices_and_without_gradient():
    r, f = jnp.float32(R), jnp.float32(F)
    mapped = jax.pmap(lambda r, f: lecam_update(lecam_init(), r, f, axis_name="i"), axis_name="i")
    got = mapped(r.reshape(8, 2), f.reshape(8, 2))
    for a, b in zip(got, lecam_update(lecam_init(), r, f), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    slope = jax.grad(lambda r: lecam_update(lecam_init(), r, f).real)(r)
    assert (slope == 0).all()


def test_lecam_state_keeps_its_dtype_for_half_precision():
    state = lecam_update(lecam_init(), jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.bfloat16))
    assert state.real.dtype == jnp.float32


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 2, 3, 4)])
def test_consistency_is_a_squared_norm_per_example(shape):
    a, b = RNG.normal(size=shape), RNG.normal(size=shape)
    want = np.array([np.linalg.norm(x - y) ** 2 for x, y in zip(a, b, strict=True)])
    with jax.enable_x64(True):
        np.testing.assert_allclose(consistency(jnp.array(a), jnp.array(b)), want, rtol=1e-12)
        np.testing.assert_allclose(
            latent_consistency(jnp.array(a), jnp.array(b)), -want, rtol=1e-12
        )


def test_the_two_halves_of_zcr_pull_apart():
    """Descending moves D's outputs together and G's images apart; both sides get gradients."""
    a, b = jnp.array([[1.0]]), jnp.array([[2.0]])
    together = jax.grad(lambda a, b: consistency(a, b).sum(), (0, 1))(a, b)
    apart = jax.grad(lambda a, b: latent_consistency(a, b).sum(), (0, 1))(a, b)
    np.testing.assert_allclose(together, [[[-2.0]], [[2.0]]])
    np.testing.assert_allclose(apart, [[[2.0]], [[-2.0]]])


def test_mode_seeking_values():
    a, b = RNG.normal(size=(2, 5, 4, 3, 2))
    z, y = RNG.normal(size=(2, 5, 7))
    want = [1 / (np.abs(a[i] - b[i]).mean() / np.abs(z[i] - y[i]).mean() + 1e-5) for i in range(5)]
    with jax.enable_x64(True):
        got = mode_seeking(*map(jnp.array, (a, b, z, y)))
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_mode_seeking_falls_as_images_move_apart():
    z, y = jnp.ones((1, 2)), -jnp.ones((1, 2))
    values = [
        mode_seeking(jnp.full((1, 3), d), jnp.zeros((1, 3)), z, y)[0] for d in (0.1, 1.0, 9.0)
    ]
    assert values[0] > values[1] > values[2] > 0


@pytest.mark.parametrize("equal", ["images", "latents", "both"])
def test_mode_seeking_is_finite_where_things_are_equal(equal):
    x, z = jnp.ones((2, 3)), jnp.ones((2, 4))
    other = x if equal in ("images", "both") else -x, z if equal in ("latents", "both") else -z
    value, slopes = jax.value_and_grad(
        lambda x, z: mode_seeking(x, other[0], z, other[1]).sum(), (0, 1)
    )(x, z)
    assert jnp.isfinite(value) and all(jnp.isfinite(s).all() for s in slopes)
    if equal == "images":
        np.testing.assert_allclose(value, 2e5, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 15, 16])
def test_top_k_on_one_device_and_on_eight(k):
    logits = jnp.float32(F)
    want = np.zeros(16)
    want[np.argsort(-F)[:k]] = 1
    np.testing.assert_array_equal(top_k_mask(logits, k), want)
    np.testing.assert_array_equal(jax.jit(top_k_mask)(logits, jnp.int32(k)), want)
    mapped = jax.pmap(lambda x: top_k_mask(x, k, "i"), axis_name="i")
    np.testing.assert_array_equal(mapped(logits.reshape(8, 2)).reshape(16), want)


def test_top_k_of_equal_logits_is_still_k():
    np.testing.assert_array_equal(top_k_mask(jnp.ones(6), 4), [1, 1, 1, 1, 0, 0])
    mapped = jax.pmap(lambda x: top_k_mask(x, 5, "i"), axis_name="i")
    np.testing.assert_array_equal(mapped(jnp.ones((8, 1)))[:, 0], [1] * 5 + [0] * 3)


def test_top_k_keeps_what_the_discriminator_likes_and_has_no_gradient():
    x = jnp.array([-2.0, 0.5, 4.0])
    assert top_k_mask(x, 1)[2] == 1
    slope = jax.grad(lambda x: (top_k_mask(x, 1) * x).sum())(x)
    np.testing.assert_array_equal(slope, [0, 0, 1])


@pytest.mark.parametrize(("n", "gamma", "minimum"), [(64, 0.99, 48), (100, 0.9, 50), (7, 1.0, 1)])
def test_top_k_size_against_the_recursion(n, gamma, minimum):
    size = float(n)
    for t in range(60):
        assert int(top_k_size(t, n, gamma, minimum)) == max(int(size + 1e-9), minimum)
        size = max(size * gamma, minimum)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"real_logits and fake_logits.*\(3,\) and \(2,\)"):
        lecam(jnp.ones(3), jnp.ones(2), lecam_init())
    with pytest.raises(ValueError, match=r"fake_logits.*\(3, 1\)"):
        lecam_update(lecam_init(), jnp.ones(3), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match="outputs and outputs_of_augmented"):
        consistency(jnp.ones((3, 1)), jnp.ones(3))
    with pytest.raises(ValueError, match="images and images_of_moved_latents"):
        latent_consistency(jnp.ones((3, 1)), jnp.ones(3))
    with pytest.raises(ValueError, match="3 images and 2 latents"):
        mode_seeking(jnp.ones((3, 1)), jnp.ones((3, 1)), jnp.ones((2, 1)), jnp.ones((2, 1)))
    with pytest.raises(ValueError, match="k: expected 1 to 3, the global batch, got 4"):
        top_k_mask(jnp.ones(3), 4)
    with pytest.raises(ValueError, match=r"gamma.*1\.5"):
        top_k_size(0, 8, 1.5)
    with pytest.raises(ValueError, match="minimum: expected 1 to 8"):
        top_k_size(0, 8, 0.9, 9)
