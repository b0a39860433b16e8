"""Groups that start from another task's parameters, and are pulled back to them."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl import audit, nets
from gan_mtl.games import architectures as arch
from gan_mtl.games import multitask
from gan_mtl.losses import l2_sp
from gan_mtl.update import alternating

KEY = jax.random.key(2)
PLAN = arch.soft_sharing(tiny.TASKS, tiny.layer(5))


def trained():
    """A single-task network of task a, after some steps."""
    game = multitask(arch.soft_sharing(("a",), tiny.layer(5)), tiny.heads()[:1], optax.sgd(0.5))
    updater, batch = alternating(game), tiny.batch()
    state, update = jax.jit(updater.init)(KEY, batch), jax.jit(updater.update)
    for i in range(3):
        state, _ = update(jax.random.fold_in(KEY, i), state, batch)
    return {"params": state.params["trunk/a"], **state.state["trunk/a"]}


def test_a_task_starts_from_another_s_parameters():
    source = trained()
    groups = jax.jit(arch.transfer(PLAN, {"trunk/b": source}).init)(KEY, tiny.images())
    fresh = jax.jit(PLAN.init)(KEY, tiny.images())
    assert set(groups) == set(fresh)
    np.testing.assert_array_equal(groups["trunk/b"]["params"]["w"], source["params"]["w"])
    np.testing.assert_array_equal(groups["trunk/a"]["params"]["w"], fresh["trunk/a"]["params"]["w"])


def test_collections_are_transferred_too():
    trunk = tiny.linen(nets.CNNTrunk((3,), norm="batch"))
    plan = arch.hard_sharing(tiny.TASKS, trunk)
    source = tiny.filled(jax.eval_shape(plan.init, KEY, tiny.images()))
    groups = jax.jit(arch.transfer(plan, source, alpha=1.0).init)(KEY, tiny.images())
    for a, b in zip(
        jax.tree.leaves(groups["trunk"]), jax.tree.leaves(source["trunk"]), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert set(groups["start/trunk"]) == {"params"}


def test_the_pull_to_the_start_is_a_row_equal_to_the_optimizer_s():
    """With plain SGD the row and `losses.l2_sp` before the step are the same, to rounding."""
    source, alpha, batch = trained(), 0.3, tiny.batch()
    pulled = arch.transfer(PLAN, {"trunk/b": source}, alpha=alpha)
    by_row = multitask(pulled, tiny.heads(), optax.sgd(0.2))
    sgd, chained = optax.sgd(0.2), optax.chain(l2_sp(alpha), optax.sgd(0.2))
    optimizers = {"trunk/a": sgd, "trunk/b": chained, "heads/a": sgd, "heads/b": sgd}
    by_optimizer = multitask(arch.transfer(PLAN, {"trunk/b": source}), tiny.heads(), optimizers)
    ends = []
    for game in (by_row, by_optimizer):
        updater = alternating(game)
        state, update = jax.jit(updater.init)(KEY, batch), jax.jit(updater.update)
        for i in range(4):
            state, metrics = update(jax.random.fold_in(KEY, i), state, batch)
        ends.append((state, metrics))
    (row, metrics), (optimizer, _) = ends
    for group, tree in optimizer.params.items():
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(row.params[group]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert float(metrics["model/l2_sp"]) > 0
    np.testing.assert_array_equal(row.params["start/trunk/b"]["w"], source["params"]["w"])


def test_the_penalty_s_value_and_its_place_in_the_table():
    plan = tiny.ALL["transfer"](tiny.TASKS)
    variables, x = tiny.started(plan)
    moved = jax.tree.map(lambda w: w + 0.5, variables.params["trunk"])
    found = tiny.represented(plan, tiny.with_params(variables, trunk=moved), x)
    size = sum(w.size for w in jax.tree.leaves(moved))
    np.testing.assert_allclose(found.losses["l2_sp"].values, 0.125 * size, rtol=1e-5)
    game = tiny.game("transfer")
    assert game.frozen == ("start/trunk",)
    assert game.turns[0].objectives["l2_sp"].entries == {"trunk": 0.1}
    assert plan.common  # rows of features still mean something


def test_a_penalty_that_depends_on_nothing_is_dead_wherever_it_starts():
    plan = tiny.ALL["transfer"](tiny.TASKS)

    def forgetful(variables, images, tasks, context):
        found, variables = plan.apply(variables, images, tasks, context)
        still = found.losses["l2_sp"]._replace(values=jnp.ones(()))
        return found._replace(losses={"l2_sp": still}), variables

    game = multitask(plan._replace(apply=forgetful), tiny.heads(), optax.sgd(0.1))
    norms = jax.jit(audit.raw_gradient_norms(game))
    with pytest.raises(ValueError, match="model/l2_sp in 'trunk'"):
        audit.check_alive([norms(jax.random.key(i), tiny.batch()) for i in range(3)])


def test_groups_that_do_not_fit_are_refused_by_name():
    source = trained()
    with pytest.raises(ValueError, match=r"'trunk' is no group.*\['trunk/a', 'trunk/b'\]"):
        jax.eval_shape(arch.transfer(PLAN, {"trunk": source}).init, KEY, tiny.images())
    wrong = {"params": {**source["params"], "w": jnp.ones((16, 4))}}
    with pytest.raises(ValueError, match=r"'trunk/b' has the shapes.*\(16, 5\).*\(16, 4\)"):
        jax.eval_shape(arch.transfer(PLAN, {"trunk/b": wrong}).init, KEY, tiny.images())
