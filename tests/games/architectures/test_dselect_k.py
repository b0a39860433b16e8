"""The DSelect-k gate against NumPy; selectors that have chosen all experts are a softmax gate."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets, table
from gan_mtl.games import architectures as arch
from gan_mtl.games.architectures.dselect_k import selection_entropy, unreached
from gan_mtl.nets.multitask import smooth_step


def numpy_step(t, gamma):
    cubic = -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5
    return np.where(t <= -gamma / 2, 0, np.where(t >= gamma / 2, 1, cubic))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_smooth_step_and_its_slope(gamma):
    t = np.linspace(-2, 2, 41)
    np.testing.assert_allclose(smooth_step(jnp.array(t), gamma), numpy_step(t, gamma), atol=1e-6)
    slope = jax.vmap(jax.grad(lambda x: smooth_step(x, gamma)))(jnp.array([-9.0, 0.0, 9.0]))
    np.testing.assert_allclose(slope, [0.0, 1.5 / gamma, 0.0], rtol=1e-6)


def oracle(params, x, k, experts, gamma):
    bits = int(np.ceil(np.log2(experts)))
    flat = np.asarray(x).reshape(len(x), -1)
    z, w = (
        flat @ np.asarray(params[n]["kernel"]) + np.asarray(params[f"{n}_bias"]) for n in ("z", "w")
    )
    steps = numpy_step(z, gamma).reshape(len(x), k, bits)
    selectors = np.ones((len(x), k, experts))
    for e in range(experts):
        for b, digit in enumerate(np.binary_repr(e, bits)):
            selectors[:, :, e] *= steps[:, :, b] if digit == "1" else 1 - steps[:, :, b]
    return (tiny.softmax(w)[:, :, None] * selectors).sum(axis=1), selectors


@pytest.mark.parametrize("num_experts", [3, 4])
def test_tasks_mix_experts_by_codes(num_experts):
    gate = tiny.linen(nets.DSelectMixture(2, gamma=0.7))
    plan = arch.dselect_k(tiny.TASKS, (tiny.layer(5),) * num_experts, gate, entropy=0.01)
    variables, x = tiny.started(plan)
    grown = {g: jax.tree.map(lambda p: 8.0 * p, variables.params[g]) for g in ("gate/a", "gate/b")}
    variables = variables._replace(params={**variables.params, **grown})
    experts = [tiny.run_layer(variables, f"experts/{i}", x) for i in range(num_experts)]
    found = tiny.represented(plan, variables, x)
    rows = ("entropy",) if num_experts == 4 else ("entropy", "reach")
    assert set(found.losses) == {f"{row}/{t}" for row in rows for t in tiny.TASKS}
    for t in tiny.TASKS:
        weights, s = oracle(variables.params[f"gate/{t}"], x, 2, num_experts, 0.7)
        expected = tiny.mixture(weights, experts)
        np.testing.assert_allclose(found.features[t], expected, rtol=1e-3, atol=1e-5)
        entropy = -(s * np.log(s + 1e-6)).sum(axis=(1, 2))
        np.testing.assert_allclose(found.losses[f"entropy/{t}"].values, entropy, rtol=1e-4)
        if num_experts == 3:
            reach = (1 / s.sum(axis=2)).sum(axis=1)
            np.testing.assert_allclose(found.losses[f"reach/{t}"].values, reach, rtol=1e-4)


def chosen(module, codes):
    """Experts of ones times their number, mixed by selectors that point at the given experts."""
    experts = tuple(jnp.full((2, 3), float(i)) for i in range(4))
    x = jnp.ones((2, 6))
    variables = module.init(tiny.KEY, x, experts, context=tiny.context())
    bits = [int(b) for code in codes for b in np.binary_repr(code, 2)]
    params = {**variables["params"], "z_bias": 2.0 * jnp.array(bits) - 1.0}
    mixed, selectors = module.apply({"params": params}, x, experts, context=tiny.context())
    return params, np.asarray(mixed), np.asarray(selectors)


def test_with_as_many_selectors_as_experts_it_can_be_a_softmax_gate():
    params, mixed, selectors = chosen(nets.DSelectMixture(4, per_example=False), (0, 1, 2, 3))
    np.testing.assert_array_equal(selectors, np.eye(4))
    expected = tiny.softmax(np.asarray(params["w_bias"])) @ np.arange(4)
    np.testing.assert_allclose(mixed, np.full((2, 3), expected), rtol=1e-5)


def test_selectors_that_agree_choose_one_expert_and_then_both_penalties_rest():
    _, mixed, selectors = chosen(nets.DSelectMixture(2, per_example=False), (2, 2))
    np.testing.assert_allclose(mixed, 2.0, rtol=1e-6)
    np.testing.assert_allclose(selection_entropy(jnp.array(selectors)), 0.0, atol=1e-5)
    np.testing.assert_allclose(unreached(jnp.array(selectors)), 2.0)


def test_first_values_are_those_of_the_authors():
    gate = nets.DSelectMixture(3, gamma=2.0)
    experts = (jnp.ones((2, 3)),) * 4
    params = gate.init(tiny.KEY, jnp.ones((2, 50)), experts, context=tiny.context())["params"]
    for name, bound in (("z", 0.02), ("w", 0.05)):
        for values in (params[name]["kernel"], params[f"{name}_bias"]):
            assert float(jnp.abs(values).max()) <= bound
        assert float(params[name]["kernel"].min()) < -0.8 * bound
    with pytest.raises(ValueError, match="2 experts or more, got 1"):
        gate.init(tiny.KEY, jnp.ones((2, 5)), experts[:1], context=tiny.context())


def test_penalties_move_their_task_s_gate():
    turn = tiny.game("dselect_k").turns[0]
    assert turn.objectives["entropy/a"].entries == {"gate/a": 0.01}
    assert turn.objectives["reach/b"].entries == {"gate/b": 1.0}
    assert table.shared_groups(turn) == ("experts/0", "experts/1", "experts/2")
