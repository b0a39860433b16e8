"""Mixtures of experts against NumPy; one expert is hard sharing."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets, table
from gan_mtl.games import architectures as arch


def test_every_task_mixes_all_experts_by_its_gate():
    plan = tiny.ALL["mmoe"](tiny.TASKS)
    variables, x = tiny.started(plan)
    experts = [tiny.run_layer(variables, f"experts/{i}", x) for i in range(3)]
    found = tiny.features(plan, variables, x)
    for t in tiny.TASKS:
        expected = tiny.mixture(tiny.gate(variables, f"gate/{t}", x), experts)
        np.testing.assert_allclose(found[t], expected, rtol=1e-4, atol=1e-6)
    assert np.abs(found["a"] - found["b"]).max() > 1e-3


def test_one_expert_is_hard_sharing():
    plan = arch.mmoe(tiny.TASKS, (tiny.layer(5),), tiny.MIXTURE)
    variables, x = tiny.started(plan)
    shared = tiny.run_layer(variables, "experts/0", x)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, shared, rtol=1e-5, atol=1e-6)


def test_experts_are_shared_and_gates_private():
    turn = tiny.game("mmoe").turns[0]
    assert table.shared_groups(turn) == ("experts/0", "experts/1", "experts/2")


def test_experts_of_several_shapes_are_refused():
    plan = arch.mmoe(tiny.TASKS, (tiny.layer(5), tiny.layer(4)), tiny.MIXTURE)
    with pytest.raises(ValueError, match=r"one shape are needed.*\(8, 5\), \(8, 4\)"):
        jax.eval_shape(plan.init, tiny.KEY, tiny.images())


def test_maps_are_mixed_too():
    maps = tuple(jnp.full((2, 3, 3, 1), float(i)) for i in range(2))
    mixed = nets.multitask.mix(jnp.array([[0.25, 0.75], [1.0, 0.0]]), maps)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], [0.75, 0.0])
