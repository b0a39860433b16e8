"""Regularisers as optax transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl.losses.regularizers import (
    clip_weights,
    historical_averaging,
    l1,
    l2,
    l2_sp,
    orthogonal,
)

PARAMS = {"dense": {"kernel": jnp.array([[2.0, -3.0], [0.0, 0.5]]), "bias": jnp.array([1.0, -1.0])}}
ZEROS = jax.tree.map(jnp.zeros_like, PARAMS)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (l1, lambda p: 0.3 * sum(jnp.abs(w).sum() for w in jax.tree.leaves(p))),
        (l2, lambda p: 0.15 * sum(jnp.square(w).sum() for w in jax.tree.leaves(p))),
    ],
)
def test_adds_the_gradient_of_the_term(make, value):
    transformation = make(0.3)
    got, _ = transformation.update(ZEROS, transformation.init(PARAMS), PARAMS)
    want = jax.grad(value)(PARAMS)
    # autodiff gives |w| the slope 1 at 0 in JAX; the sub-gradient here is 0
    want["dense"]["kernel"] = want["dense"]["kernel"].at[1, 0].set(0.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, want)


@pytest.mark.parametrize("make", [l1, l2])
def test_by_leaf_name(make):
    transformation = make(0.3, leaves=("kernel",))
    got, _ = transformation.update(ZEROS, transformation.init(PARAMS), PARAMS)
    assert (got["dense"]["bias"] == 0).all() and (got["dense"]["kernel"] != 0).sum() == 3


def test_l2_shrinks_as_the_closed_form():
    optimizer = optax.chain(l2(0.5), optax.sgd(0.1))
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(10):
        updates, state = optimizer.update(ZEROS, state, params)
        params = optax.apply_updates(params, updates)
    want = PARAMS["dense"]["kernel"] * (1 - 0.05) ** 10
    np.testing.assert_allclose(params["dense"]["kernel"], want, rtol=1e-5)


@pytest.mark.parametrize("leaves", [None, ("kernel",)])
def test_l2_sp_draws_back_to_the_start_as_the_closed_form(leaves):
    """With the gradient of c'w alone, w goes to w0 - c / strength at the rate 1 - 0.05."""
    optimizer = optax.chain(l2_sp(0.5, leaves), optax.sgd(0.1))
    params, state = PARAMS, optimizer.init(PARAMS)
    gradient = jax.tree.map(lambda w: jnp.full_like(w, 0.2), PARAMS)
    for _ in range(10):
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    moved = jax.tree.map(jnp.subtract, params, PARAMS)["dense"]
    pulled = -0.4 * (1 - (1 - 0.05) ** 10)
    np.testing.assert_allclose(moved["kernel"], pulled, rtol=1e-5)
    np.testing.assert_allclose(moved["bias"], pulled if leaves is None else -0.2, rtol=1e-5)


@pytest.mark.parametrize("leaves", [None, ("kernel",)])
def test_historical_averaging_against_the_whole_history(leaves):
    """The gradient of the term with the mean of all parameters so far written out."""
    optimizer = historical_averaging(0.3, leaves)
    state, seen = optimizer.init(PARAMS), []
    for i in range(6):
        params = jax.tree.map(lambda w, i=i: w + 0.5 * i**2 - i * w, PARAMS)
        seen.append(np.asarray(params["dense"]["kernel"], np.float64))
        got, state = optimizer.update(ZEROS, state, params)
        want = 2 * 0.3 * (seen[-1] - np.mean(seen, axis=0))
        np.testing.assert_allclose(got["dense"]["kernel"], want, rtol=1e-5, atol=1e-5)
        moved = (got["dense"]["bias"] != 0).any()
        assert moved == (leaves is None and i > 0)
    assert int(state.count) == 6


def test_historical_averaging_damps_a_rotation():
    """Descent-ascent on xy spirals outwards; held to its past it does so less."""

    def last(optimizer):
        def step(carry, _):
            params, state = carry
            gradient = jnp.stack([params[1], -params[0]])
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        start = jnp.array([1.0, 0.0])
        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=200)
        return float(jnp.linalg.norm(params))

    held = optax.chain(historical_averaging(0.25), optax.sgd(0.1))
    assert last(optax.sgd(0.1)) > 2 and last(held) < 0.1


def test_historical_mean_of_half_precision_is_wide():
    """1 + 1/256 is no bfloat16: a mean of that type would stop moving."""
    optimizer = historical_averaging(1.0)
    seen = jnp.ones((512, 1), jnp.bfloat16).at[-1].set(2.0)

    def step(state, params):
        return optimizer.update(params, state, params)[1], None

    state, _ = jax.lax.scan(step, optimizer.init(seen[0]), seen)
    np.testing.assert_allclose(state.mean, 1 + 1 / 512, rtol=1e-6)


@pytest.mark.parametrize("variant", ["brock", "saxe"])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (3, 2, 4, 6)])
def test_orthogonal_adds_the_gradient_of_the_term(variant, shape):
    with jax.enable_x64(True):
        w = jax.random.normal(jax.random.key(0), shape, jnp.float64)
        params = {"kernel": w, "bias": jnp.ones(3)}
        zeros = jax.tree.map(jnp.zeros_like, params)
        transformation = orthogonal(0.3, variant)
        got, _ = transformation.update(zeros, transformation.init(params), params)

        def value(w):  # pairs of filters, one by one
            filters = [w[..., i].ravel() for i in range(shape[-1])]
            total = 0.0
            for i, a in enumerate(filters):
                for j, b in enumerate(filters):
                    if i != j:
                        total += (a @ b) ** 2
                    elif variant == "saxe":
                        total += (a @ a - 1) ** 2
            return 0.3 * total

        np.testing.assert_allclose(got["kernel"], jax.grad(value)(w), rtol=1e-9)
        assert (got["bias"] == 0).all()


def test_orthogonal_filters_are_left_alone_by_brock_whatever_their_norms():
    q, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (6, 3)))
    for variant, scale, still in (("brock", 3.0, True), ("saxe", 3.0, False), ("saxe", 1.0, True)):
        transformation = orthogonal(1.0, variant)
        got, _ = transformation.update(jnp.zeros((6, 3)), optax.EmptyState(), scale * q)
        assert bool(jnp.abs(got).max() < 1e-4) == still


def test_clipped_parameters_stay_in_the_box():
    optimizer = optax.chain(optax.sgd(1.0), clip_weights(0.01))
    gradient = {"dense": {"kernel": jnp.full((2, 2), 5.0), "bias": jnp.array([-7.0, 1.0])}}
    updates, _ = optimizer.update(gradient, optimizer.init(PARAMS), PARAMS)
    params = optax.apply_updates(PARAMS, updates)["dense"]
    np.testing.assert_allclose(params["kernel"], -0.01, atol=3e-7)  # to rounding of 2 - 1.99
    np.testing.assert_allclose(params["bias"], [0.01, -0.01], atol=1e-7)


def test_inside_the_box_nothing_changes():
    params = jnp.array([0.001, -0.002])
    transformation = clip_weights(0.01)
    updates, _ = transformation.update(
        jnp.array([0.002, 0.001]), transformation.init(params), params
    )
    np.testing.assert_allclose(params + updates, [0.003, -0.001], rtol=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"c: expected a number > 0, got 0"):
        clip_weights(0)
    with pytest.raises(ValueError, match="strength"):
        l1(-1.0)
    with pytest.raises(ValueError, match="strength"):
        l2_sp(-1.0)
    with pytest.raises(ValueError, match="strength"):
        historical_averaging(-1.0)
    with pytest.raises(ValueError, match="strength"):
        orthogonal(-1.0)
    with pytest.raises(ValueError, match=r"variant.*'brock' or 'saxe'.*'other'"):
        orthogonal(1.0, "other")  # pyright: ignore
    for make in (l1, l2_sp, clip_weights, historical_averaging, orthogonal):
        transformation = make(0.1)
        with pytest.raises(ValueError, match="params"):
            transformation.update(ZEROS, transformation.init(PARAMS))
