"""CR-MOGM: the average of another weighting's weights, and what it passes on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mtl.oracles import jacobians, one

from gan_mtl.mtl import cr_mogm, equal, mgda, nash, trimmed_mean
from gan_mtl.types import Weighting

KEY = jax.random.key(0)


def test_recursion():
    weighting, inner = cr_mogm(mgda(), alpha=0.7), mgda()
    with jax.enable_x64(True):
        state, w = weighting.init(3), np.full(3, 1 / 3)
        step = jax.jit(weighting.update)
        for j in jacobians(3, n=5, seed=1):
            weights, state = step(KEY, jnp.ones(3), jnp.asarray(j @ j.T), state)
            w = 0.7 * w + 0.3 * one(inner, j)
            np.testing.assert_allclose(weights, w, rtol=1e-9)


def test_alpha_of_zero_is_the_weighting_itself():
    j = jacobians(3, n=1, seed=2)[0]
    np.testing.assert_allclose(one(cr_mogm(mgda(), 0.0), j), one(mgda(), j), rtol=1e-12)


def test_what_the_weighting_says_of_itself_is_passed_on():
    assert cr_mogm(nash()).scales_private and cr_mogm(nash()).needs_gramian
    assert cr_mogm(mgda("loss")).positive
    assert not cr_mogm(equal()).needs_gramian and cr_mogm(equal()).observe is None


def test_the_inner_weighting_observes():
    counting = Weighting(
        lambda n: jnp.zeros(()),
        lambda key, losses, gramian, state: (losses, state),
        needs_gramian=False,
        observe=lambda losses, state: state + losses.sum(),
    )
    weighting = cr_mogm(counting)
    assert weighting.observe is not None
    state = weighting.observe(jnp.array([1.0, 2.0]), weighting.init(2))
    assert float(state.inner) == 3.0


def test_a_broken_row_does_not_stay_in_the_average():
    weighting, j = cr_mogm(mgda()), jacobians(3, n=1, seed=3)[0]
    j[1, 0] = np.nan
    weights, state = weighting.update(
        KEY, jnp.ones(3), jnp.asarray(j @ j.T, jnp.float32), weighting.init(3)
    )
    assert np.isnan(weights).tolist() == [False, True, False]
    assert np.isfinite(state.weights).all()


def test_what_it_refuses():
    with pytest.raises(TypeError, match="weighting: expected a Weighting, got Aggregator"):
        cr_mogm(trimmed_mean(1))
    with pytest.raises(ValueError, match="alpha: expected a number in"):
        cr_mogm(mgda(), alpha=1.0)
