"""Task relations: gradients against rows in NumPy, groupings against brute force, Omega."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from gan_mtl.losses import relation_penalty, trace_norm
from gan_mtl.metrics import (
    affinities,
    best_grouping,
    condition_number,
    cosines,
    magnitude_similarity,
    task_covariance,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(4, 9)) * np.array([[1.0], [0.1], [5.0], [2.0]])


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_against_rows(jit):
    norms = np.linalg.norm(ROWS, axis=1)
    expected = {
        cosines: (ROWS @ ROWS.T) / np.outer(norms, norms),
        magnitude_similarity: 2 * np.outer(norms, norms) / np.add.outer(norms**2, norms**2),
        condition_number: np.linalg.cond(ROWS),
    }
    for function, values in expected.items():
        found = (jax.jit(function) if jit else function)(jnp.asarray(ROWS @ ROWS.T))
        np.testing.assert_allclose(found, values, rtol=2e-4, atol=1e-6)


def test_a_task_without_gradient_conflicts_with_none():
    rows = np.array([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0]])
    products = jnp.asarray(rows @ rows.T)
    np.testing.assert_allclose(cosines(products), [[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    np.testing.assert_allclose(magnitude_similarity(products)[0], [1.0, 0.0, 0.8], rtol=1e-6)
    assert not condition_number(products) < 1e6


def test_affinities_after_real_steps():
    """Three quadratics of one vector: a step on i changes loss j by a known amount."""
    targets, rate, w = RNG.normal(size=(3, 2)), 0.1, np.zeros(2)

    def losses(w):
        return 1 + ((w - targets) ** 2).sum(axis=1)

    after = np.stack([losses(w - rate * 2 * (w - t)) for t in targets])
    found = affinities(jnp.asarray(losses(w)), jnp.asarray(after))
    for i, j in itertools.product(range(3), repeat=2):
        np.testing.assert_allclose(found[i, j], 1 - after[i, j] / losses(w)[j], atol=1e-6)
    assert (np.diag(found) > 0).all()


def brute_force(z, max_groups, alone):
    """Every set of groups, every task in its best one."""
    tasks = len(z)
    groups = [g for k in range(1, tasks + 1) for g in itertools.combinations(range(tasks), k)]

    def gain(j, group):
        others = [z[i, j] for i in group if i != j]
        return np.mean(others) if others else alone

    best = -np.inf
    for size in range(1, max_groups + 1):
        for chosen in itertools.combinations(groups, size):
            served = [[gain(j, g) for g in chosen if j in g] for j in range(tasks)]
            if all(served):
                best = max(best, sum(max(s) for s in served))
    return best


@pytest.mark.parametrize("max_groups", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_groupings_against_brute_force(seed, max_groups):
    z = np.random.default_rng(seed).normal(size=(4, 4))
    for alone in (0.0, 0.3):
        found = best_grouping(z, max_groups, alone)
        assert found.score == pytest.approx(brute_force(z, max_groups, alone))
        assert len(found.groups) <= max_groups
        for task, number in enumerate(found.serves):
            assert task in found.groups[number]
        total = 0.0
        for j, number in enumerate(found.serves):
            others = [z[i, j] for i in found.groups[number] if i != j]
            total += np.mean(others) if others else alone
        assert found.score == pytest.approx(total)


def test_two_families_are_told_apart():
    z = np.full((5, 5), -0.2)
    z[:2, :2] = z[2:, 2:] = 0.3
    found = best_grouping(z, 2)
    assert found.groups == ((0, 1), (2, 3, 4)) and found.serves == (0, 0, 1, 1, 1)
    assert best_grouping(z, 5).groups == found.groups  # no more networks than help
    assert best_grouping(z, 1).groups == ((0, 1, 2, 3, 4),)


def test_tasks_that_hurt_each_other_are_trained_apart():
    z = -np.ones((3, 3))
    assert best_grouping(z, 3).groups == ((0,), (1,), (2,))
    assert best_grouping(-z, 3).groups == ((0, 1, 2),)


def test_a_task_may_help_where_it_is_not_served():
    """Task 0 helps 1 and is hurt by it; it is best alone."""
    found = best_grouping(np.array([[0.0, 0.5], [-0.5, 0.0]]), 2)
    assert found.groups == ((0,), (0, 1)) and found.serves == (0, 1)
    assert found.score == pytest.approx(0.5)


def test_bad_groupings_are_refused():
    with pytest.raises(ValueError, match=r"affinity: expected shape \[tasks, tasks\]"):
        best_grouping(np.zeros((2, 3)), 2)
    with pytest.raises(ValueError, match="at most 12 tasks"):
        best_grouping(np.zeros((13, 13)), 2)
    with pytest.raises(ValueError, match="max_groups"):
        best_grouping(np.zeros((2, 2)), 0)


@pytest.mark.parametrize("shape", [(7, 3), (2, 4), (5, 1)])
@pytest.mark.parametrize("x64", [False, True])
def test_omega_in_closed_form(shape, x64):
    weights = np.random.default_rng(2).normal(size=shape)
    root = scipy.linalg.sqrtm(weights.T @ weights).real
    with jax.enable_x64(x64):
        omega = jax.jit(task_covariance)(jnp.asarray(weights, float))
        # SciPy's root of a singular matrix is good to about 1e-8
        np.testing.assert_allclose(omega, root / np.trace(root), atol=1e-6 if not x64 else 1e-7)
        np.testing.assert_allclose(np.trace(omega), 1.0, rtol=1e-6)
        assert np.linalg.eigvalsh(omega).min() > -1e-6


def test_omega_minimises_the_penalty_among_covariances():
    """The value there is the squared trace norm; every other covariance of trace 1 is worse."""
    with jax.enable_x64(True):
        weights = jnp.asarray(RNG.normal(size=(7, 3)))
        least = relation_penalty(weights, task_covariance(weights), ridge=0.0)
        np.testing.assert_allclose(least, trace_norm(weights) ** 2, rtol=1e-10)
        for _ in range(20):
            root = RNG.normal(size=(3, 3))
            other = jnp.asarray(root @ root.T / np.trace(root @ root.T))
            assert relation_penalty(weights, other, ridge=0.0) > least


def test_omega_reads_relations_and_stays_finite():
    head = RNG.normal(size=6)
    weights = jnp.asarray(np.stack([head, 2 * head, -head], axis=1))
    found = cosines(task_covariance(weights))
    np.testing.assert_allclose(found, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-5)
    np.testing.assert_allclose(task_covariance(jnp.zeros((6, 3))), np.eye(3) / 3, rtol=1e-6)
