"""Cross-stitch units against NumPy; with the identity they are single-task networks."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets, table
from gan_mtl.games import architectures as arch


@pytest.mark.parametrize("tasks", [("a", "b"), ("a", "b", "c")])
def test_activations_are_mixed_after_every_stage(tasks):
    plan = tiny.ALL["cross_stitch"](tasks)
    variables, x = tiny.started(plan)
    keys = jax.random.split(tiny.KEY, len(variables.params))
    for key, group in zip(keys, list(variables.params), strict=True):
        if group.startswith("stitch"):
            alpha = variables.params[group]["alpha"]
            noisy = {"alpha": alpha + jax.random.normal(key, alpha.shape)}
            variables = variables._replace(params={**variables.params, group: noisy})
    outputs, maps = dict.fromkeys(tasks, np.asarray(x)), {t: [] for t in tasks}
    for stage in range(2):
        outputs = {t: tiny.run_layer(variables, f"trunk/{t}/{stage}", outputs[t]) for t in tasks}
        mixed = {}
        for t in tasks:
            alpha = np.asarray(variables.params[f"stitch/{t}/{stage}"]["alpha"])
            others = [u for u in tasks if u != t]
            mixed[t] = alpha[0] * outputs[t]
            mixed[t] = mixed[t] + sum(
                a * outputs[u] for a, u in zip(alpha[1:], others, strict=True)
            )
        outputs = mixed
        maps = {t: [*maps[t], mixed[t]] for t in tasks}
    found = tiny.features(plan, variables, x)
    stages, unit = (tiny.layer(4), tiny.layer(5)), tiny.linen(nets.CrossStitch())
    pyramids = arch.cross_stitch(tasks, stages, unit, pyramid=True)
    pyramids = tiny.represented(pyramids, variables, x).features
    for t in tasks:
        np.testing.assert_allclose(found[t], outputs[t], rtol=1e-4, atol=1e-5)
        for one, wanted in zip(pyramids[t], maps[t], strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)


def test_units_start_as_convex_combinations_that_favour_the_own_activations():
    for others, first in ((1, [0.9, 0.1]), (2, [0.9, 0.05, 0.05])):
        unit = nets.CrossStitch()
        x = jnp.ones((2, 3))
        variables = unit.init(tiny.KEY, x, (x,) * others, context=tiny.context())
        np.testing.assert_allclose(
            variables["params"]["alpha"], np.tile(np.array(first)[:, None], (1, 3)), rtol=1e-6
        )
    alone = nets.CrossStitch(per_channel=False)
    variables = alone.init(tiny.KEY, x, (x,), context=tiny.context())
    assert variables["params"]["alpha"].shape == (2, 1)


def test_with_the_identity_the_tasks_are_apart():
    stitch = tiny.linen(nets.CrossStitch(own=1.0))
    stages = (tiny.layer(4), tiny.layer(5))
    plan = arch.cross_stitch(tiny.TASKS, stages, stitch)
    variables, x = tiny.started(plan)
    found = tiny.features(plan, variables, x)
    for t in tiny.TASKS:
        hidden = tiny.run_layer(variables, f"trunk/{t}/0", x)
        alone = tiny.run_layer(variables, f"trunk/{t}/1", hidden)
        np.testing.assert_allclose(found[t], alone, rtol=1e-5, atol=1e-6)


def test_only_the_last_row_of_a_task_is_its_own():
    turn = tiny.game("cross_stitch").turns[0]
    private = set(table.moved_groups(turn)) - set(table.shared_groups(turn))
    assert private == {"stitch/a/1", "stitch/b/1", "heads/a", "heads/b"}


def test_stages_of_other_shapes_are_refused():
    x, y = jnp.ones((2, 3)), jnp.ones((2, 4))
    with pytest.raises(ValueError, match=r"CrossStitch.*\(2, 3\), \(2, 4\)"):
        nets.CrossStitch().init(tiny.KEY, x, (y,), context=tiny.context())
