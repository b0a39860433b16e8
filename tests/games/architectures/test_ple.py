"""Customized gate control and progressive layered extraction against NumPy."""

import architectures as tiny
import numpy as np

from gan_mtl import table
from gan_mtl.games import architectures as arch


def oracle(variables, x, num_shared, num_private, levels):
    shared, private = np.asarray(x), dict.fromkeys(tiny.TASKS, np.asarray(x))
    for j in range(levels):
        common = [tiny.run_layer(variables, f"experts/{j}/{i}", shared) for i in range(num_shared)]
        own = {
            t: [
                tiny.run_layer(variables, f"experts/{j}/{t}/{i}", private[t])
                for i in range(num_private)
            ]
            for t in tiny.TASKS
        }
        weights = {t: tiny.gate(variables, f"gate/{j}/{t}", private[t]) for t in tiny.TASKS}
        private = {t: tiny.mixture(weights[t], own[t] + common) for t in tiny.TASKS}
        if j < levels - 1:
            everything = own["a"] + own["b"] + common
            shared = tiny.mixture(tiny.gate(variables, f"gate/{j}", shared), everything)
    return private


def test_a_task_mixes_its_experts_and_the_shared_ones():
    plan = arch.cgc(tiny.TASKS, (tiny.layer(5),) * 2, (tiny.layer(5),), tiny.MIXTURE)
    variables, x = tiny.started(plan)
    expected = oracle(variables, x, 2, 1, levels=1)
    for t, found in tiny.features(plan, variables, x).items():
        np.testing.assert_allclose(found, expected[t], rtol=1e-4, atol=1e-6)


def test_levels_go_on_from_the_mixtures_of_the_level_before():
    level = arch.Level((tiny.layer(5),), (tiny.layer(5),) * 2)
    plan = arch.ple(tiny.TASKS, (level,) * 3, tiny.MIXTURE)
    variables, x = tiny.started(plan)
    expected = oracle(variables, x, 1, 2, levels=3)
    for t, found in tiny.features(plan, variables, x).items():
        np.testing.assert_allclose(found, expected[t], rtol=1e-4, atol=1e-5)


def test_without_private_experts_and_with_one_shared_it_is_hard_sharing():
    plan = arch.cgc(tiny.TASKS, (tiny.layer(5),), (), tiny.MIXTURE)
    variables, x = tiny.started(plan)
    shared = tiny.run_layer(variables, "experts/0/0", x)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, shared, rtol=1e-5, atol=1e-6)


def test_without_shared_experts_one_level_is_single_task_networks():
    plan = arch.cgc(tiny.TASKS, (), (tiny.layer(5),), tiny.MIXTURE)
    variables, x = tiny.started(plan)
    for t, found in tiny.features(plan, variables, x).items():
        alone = tiny.run_layer(variables, f"experts/0/{t}/0", x)
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-6)
    assert not set(plan.groups("a")) & set(plan.groups("b"))


def test_experts_of_one_task_are_private_at_the_last_level_only():
    assert table.shared_groups(tiny.game("cgc").turns[0]) == ("experts/0/0",)
    turn = tiny.game("ple").turns[0]
    private = set(table.moved_groups(turn)) - set(table.shared_groups(turn))
    for t in tiny.TASKS:
        own = {f"experts/2/{t}/0", f"gate/2/{t}", f"gate/1/{t}", f"heads/{t}"}
        assert {g for g in private if f"/{t}" in g} == own
