"""Branching against NumPy; one node a layer is hard sharing."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl import nets, table
from gan_mtl.games import architectures as arch


def with_logits(variables, **chosen):
    """Units whose likeliest parent is given by number."""
    params = {n: {"logits": jnp.zeros(2).at[i].set(3.0)} for n, i in chosen.items()}
    return tiny.with_params(variables, **params)


def test_in_evaluation_everyone_is_the_child_of_its_likeliest_parent():
    plan = tiny.ALL["ltb"](tiny.TASKS)
    variables, x = tiny.started(plan)
    variables = with_logits(variables, branch__2__0=1, branch__2__1=0, branch__a=1, branch__b=0)
    root = tiny.run_layer(variables, "nodes/0/0", x)
    middle = [tiny.run_layer(variables, f"nodes/1/{i}", root) for i in range(2)]
    found = tiny.features(plan, variables, x, train=False)
    for task, leaf, parent in (("a", 1, 0), ("b", 0, 1)):
        expected = tiny.run_layer(variables, f"nodes/2/{leaf}", middle[parent])
        np.testing.assert_allclose(found[task], expected, rtol=1e-5, atol=1e-6)


def test_one_node_a_layer_is_hard_sharing():
    branch = tiny.linen(nets.Branch(optax.constant_schedule(1.0)))
    plan = arch.ltb(tiny.TASKS, ((tiny.layer(4),), (tiny.layer(5),)), branch)
    variables, x = tiny.started(plan)
    shared = tiny.run_layer(variables, "nodes/1/0", tiny.run_layer(variables, "nodes/0/0", x))
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, shared, rtol=1e-5, atol=1e-6)
    assert set(variables.params) == set(plan.groups("a")) == {"nodes/0/0", "nodes/1/0"}


def branch_of(logits, tau, step, key):
    """What a unit gives to two parents of 1 and 0, and its gradient in the logits."""
    unit = nets.Branch(lambda step: tau, warmup=2)
    parents = (jnp.ones((2, 1)), jnp.zeros((2, 1)))
    context = tiny.context(step=step)._replace(key=key)

    def first(logits):
        return unit.apply({"params": {"logits": logits}}, parents, context=context)[0, 0]

    return jax.value_and_grad(first)(logits)


def test_draws_are_soft_while_warming_up_and_hard_after_with_the_gradient_of_the_soft_ones():
    logits, tau = jnp.array([0.4, -0.2]), 0.7
    for seed in range(4):
        key = jax.random.key(seed)
        noisy = np.asarray(logits + jax.random.gumbel(key, (2,)))
        soft = tiny.softmax(noisy / tau)
        slope = soft[0] * (np.array([1.0, 0.0]) - soft) / tau
        for step, expected in ((1, soft[0]), (2, float(noisy[0] > noisy[1]))):
            value, gradient = branch_of(logits, tau, step, key)
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-6)


def test_parents_are_drawn_by_their_probabilities():
    logits = jnp.array([1.0, -1.0])
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = jax.vmap(lambda key: branch_of(logits, 1.0, 5, key)[0])(keys)
    expected = tiny.softmax(np.asarray(logits))[0]
    np.testing.assert_allclose(drawn.mean(), expected, atol=4 * np.sqrt(0.25 / 4000))


def test_a_temperature_that_falls_makes_relaxed_draws_hard():
    schedule = optax.exponential_decay(5.0, 10, 0.5)
    unit = nets.Branch(schedule, warmup=1000)
    parents = (jnp.ones((2, 1)), jnp.zeros((2, 1)))
    variables = {"params": {"logits": jnp.zeros(2)}}
    key = jax.random.key(4)

    def given(step):
        context = tiny.context(step=step)._replace(key=key)
        return float(unit.apply(variables, parents, context=context)[0, 0])

    early, late = given(0), given(100)
    assert abs(early - 0.5) < 0.2 and abs(late - 0.5) > 0.49


def test_only_a_task_s_own_choice_is_private():
    turn = tiny.game("ltb").turns[0]
    private = set(table.moved_groups(turn)) - set(table.shared_groups(turn))
    assert private == {"branch/a", "branch/b", "heads/a", "heads/b"}
    with pytest.raises(ValueError, match="warmup=0"):
        unit = nets.Branch(lambda step: 1.0, warmup=0)
        unit.init(tiny.KEY, (jnp.ones((2, 1)),) * 2, context=tiny.context())
