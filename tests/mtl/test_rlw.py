"""Random weights: on the simplex, of the law that was asked for, drawn from the key alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import weightings as w

from gan_mtl.mtl import rlw

LAWS = "normal", "uniform", "random_normal", "dirichlet", "bernoulli", "constrained_bernoulli"
MANY = 20_000


def draws(weighting, tasks=3, n=MANY):
    keys = jax.random.split(w.KEY, n)
    losses = jnp.ones(tasks)
    update = jax.jit(jax.vmap(lambda key: weighting.update(key, losses, None, ())[0]))
    return np.asarray(update(keys), np.float64)


@pytest.mark.parametrize("law", LAWS)
def test_on_the_simplex_and_fair_to_every_task(law):
    found = draws(rlw(law))
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    if law != "random_normal":  # its means differ by task
        np.testing.assert_allclose(found.mean(axis=0), 1 / 3, atol=0.01)
    assert len(np.unique(found[:50], axis=0)) > 1


@pytest.mark.parametrize("law", LAWS)
def test_laws(law):
    assert not rlw(law).positive
    losses = np.ones((4, 3))
    found, _ = w.trajectory(rlw(law), np.float32(losses))
    times, _ = w.double(rlw(law, times_tasks=True), -9 * losses)
    assert found.shape == times.shape
    np.testing.assert_allclose(times.sum(axis=1), 3.0, rtol=1e-12)


def test_second_moments_against_numpy():
    draw = np.random.default_rng(0)
    normal = np.exp(draw.normal(size=(MANY, 3)))
    uniform = np.exp(draw.uniform(size=(MANY, 3)))
    expected = {
        "normal": normal / normal.sum(axis=1, keepdims=True),
        "uniform": uniform / uniform.sum(axis=1, keepdims=True),
        "dirichlet": draw.dirichlet(np.ones(3), MANY),
    }
    for law, values in expected.items():
        np.testing.assert_allclose(draws(rlw(law)).std(axis=0), values.std(axis=0), atol=0.006)


def test_bernoulli_is_uniform_over_the_subsets_that_are_not_empty():
    found, counts = np.unique(draws(rlw("bernoulli")) > 0, axis=0, return_counts=True)
    assert len(found) == 7
    np.testing.assert_allclose(counts / MANY, 1 / 7, atol=0.01)


def test_constrained_bernoulli_plays_one_task_at_a_time():
    assert ((draws(rlw("constrained_bernoulli"), n=50) == 1).sum(axis=1) == 1).all()


def test_the_means_of_random_normal_are_drawn_once():
    mean, deviation = np.asarray(jax.random.uniform(jax.random.key(4), (2, 3)))
    values = np.random.default_rng(0).normal(mean, deviation, (MANY, 3))
    expected = np.stack([w.softmax(row) for row in values])
    found = draws(rlw("random_normal", seed=4))
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.std(axis=0), expected.std(axis=0), atol=0.01)


def test_an_unknown_law():
    with pytest.raises(ValueError, match=r"law: expected one of .*'normal'.*got 'cauchy'"):
        rlw("cauchy")  # pyright: ignore
