"""Ties between task networks against NumPy; without one they are single-task networks."""

import itertools

import architectures as tiny
import jax
import numpy as np
import optax
import pytest

from gan_mtl import table
from gan_mtl.games import architectures as arch
from gan_mtl.games import multitask
from gan_mtl.update import alternating

THREE = ("a", "b", "c")


def params(variables):
    return [variables.params[f"trunk/{t}"] for t in THREE]


def test_every_task_has_a_network_of_its_own():
    plan = arch.soft_sharing(THREE, tiny.layer(5))
    variables, x = tiny.started(plan)
    found = tiny.represented(plan, variables, x)
    for t in THREE:
        expected = tiny.run_layer(variables, f"trunk/{t}", x)
        np.testing.assert_allclose(found.features[t], expected, rtol=1e-5, atol=1e-6)
    assert not found.losses and not plan.objectives


def test_without_a_tie_a_step_is_that_of_single_task_networks():
    batch = tiny.batch()
    together = alternating(
        multitask(arch.soft_sharing(tiny.TASKS, tiny.layer(5)), tiny.heads(), optax.sgd(0.1))
    )
    start = jax.jit(together.init)(tiny.KEY, batch)
    after, _ = jax.jit(together.update)(tiny.KEY, start, batch)
    for head in tiny.heads():
        groups = (f"trunk/{head.name}", f"heads/{head.name}")
        alone = alternating(
            multitask(arch.soft_sharing((head.name,), tiny.layer(5)), (head,), optax.sgd(0.1))
        )
        state = jax.jit(alone.init)(tiny.KEY, batch)._replace(
            params={g: start.params[g] for g in groups}
        )
        expected, _ = jax.jit(alone.update)(tiny.KEY, state, batch)
        for group in groups:
            for a, b in zip(
                jax.tree.leaves(after.params[group]),
                jax.tree.leaves(expected.params[group]),
                strict=True,
            ):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_l2_tie_is_half_the_squared_distance_of_every_pair():
    plan = arch.soft_sharing(THREE, tiny.layer(5), tie=arch.l2_tie)
    variables, x = tiny.started(plan)
    expected = sum(
        np.square(np.asarray(p[leaf]) - np.asarray(q[leaf])).sum() / 2
        for p, q in itertools.combinations(params(variables), 2)
        for leaf in ("w", "b")
    )
    value = tiny.represented(plan, variables, x).losses["tie"].values
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    same = params(variables)[:1] * 3
    assert float(arch.l2_tie(same)) == 0.0


def nuclear(matrix):
    return np.linalg.svd(matrix, compute_uv=False).sum()


def test_the_trace_norm_ties_are_sums_over_flattenings():
    plan = arch.soft_sharing(THREE, tiny.layer(5))
    trees = params(tiny.started(plan)[0])
    expected = {"last": 0.0, "tucker": 0.0, "tt": 0.0}
    for leaf in ("w", "b"):
        w = np.stack([np.asarray(p[leaf]) for p in trees], axis=-1)
        expected["last"] += nuclear(w.reshape(-1, 3))
        for k in range(w.ndim):
            expected["tucker"] += nuclear(np.moveaxis(w, k, 0).reshape(w.shape[k], -1))
        for k in range(1, w.ndim):
            expected["tt"] += nuclear(w.reshape(int(np.prod(w.shape[:k])), -1))
    for flattening, value in expected.items():
        found = arch.trace_norm_tie(trees, flattening)
        np.testing.assert_allclose(found, value, rtol=1e-5)
    with pytest.raises(ValueError, match="flattening='cp' is not 'last', 'tucker' or 'tt'"):
        arch.trace_norm_tie(trees, "cp")  # pyright: ignore[reportArgumentType]


def test_a_strong_tie_brings_the_networks_together():
    plan = arch.soft_sharing(tiny.TASKS, tiny.layer(5), tie=arch.l2_tie, weight=4.0)
    updater = alternating(multitask(plan, tiny.heads(), optax.sgd(0.1)))
    batch = tiny.batch()
    state, update = jax.jit(updater.init)(tiny.KEY, batch), jax.jit(updater.update)
    first = None
    for i in range(20):
        state, metrics = update(jax.random.fold_in(tiny.KEY, i), state, batch)
        first = metrics["model/tie"] if first is None else first
    assert float(metrics["model/tie"]) < 1e-3 * float(first)


def test_a_tie_moves_all_networks_and_makes_none_shared():
    turn = tiny.game("l2_tie").turns[0]
    assert turn.objectives["tie"].entries == {"trunk/a": 0.1, "trunk/b": 0.1}
    assert table.shared_groups(turn) == ()
