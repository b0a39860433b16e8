"""What every architecture keeps to."""

import architectures as tiny
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from marks import slow

from gan_mtl import audit, nets, parallel, table
from gan_mtl.games import architectures as arch
from gan_mtl.games import entropy_task, multitask
from gan_mtl.mtl import equal, from_weighting, pcgrad
from gan_mtl.types import Rows, Schedule, starting
from gan_mtl.update import alternating

KEY = jax.random.key(1)
NAMES = sorted(tiny.ALL)


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_moves_the_groups_that_its_loss_depends_on_and_no_other(name):
    """Every row is tried in every group."""
    game, batch = tiny.game(name), tiny.batch()
    turn, groups = game.turns[0], jax.eval_shape(game.init, KEY, batch)
    assert set(table.moved_groups(turn)) | set(game.frozen) == set(groups)
    everywhere = dict.fromkeys(table.moved_groups(turn), 1.0)
    rows = {n: row._replace(entries=everywhere) for n, row in turn.objectives.items()}
    wide = game._replace(
        init=lambda key, batch: tiny.filled(groups), turns=(turn._replace(objectives=rows),)
    )
    norms = jax.jit(audit.raw_gradient_norms(wide))(KEY, batch)["model"]
    for objective, row in turn.objectives.items():
        reached = {group for group, norm in norms[objective].items() if float(norm) > 0}
        assert reached == set(row.entries)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_s_features_do_not_depend_on_who_else_is_asked(name):
    plan, x = tiny.ALL[name](tiny.TASKS), tiny.images()
    variables = starting(tiny.filled(jax.eval_shape(plan.init, KEY, x)))

    def apply(wanted, variables):
        return plan.apply(variables, x, wanted, tiny.context(train=False))[0].features

    asked = [tiny.TASKS, *((task,) for task in tiny.TASKS)]
    both, *alone = jax.jit(lambda v: [apply(wanted, v) for wanted in asked])(variables)
    assert [list(found) for found in alone] == [["a"], ["b"]]
    for found, task in zip(alone, tiny.TASKS, strict=True):
        np.testing.assert_allclose(found[task], both[task], rtol=1e-6)


@pytest.mark.parametrize("name", ["cross_stitch", "shared_private"])
def test_no_entry_of_its_table_is_dead_where_it_starts(name):
    parallel.dead_term_check(tiny.game(name), tiny.batch(), KEY)


SELECTION = tiny.linen(nets.DSelectMixture(2, gamma=4.0))
ON_PYRAMIDS = {  # made of experts (trunks, nodes) as given
    "mmoe": lambda one: arch.mmoe(tiny.TASKS, (one,) * 3, tiny.MIXTURE),
    "cgc": lambda one: arch.cgc(tiny.TASKS, (one,), (one,), tiny.MIXTURE),
    "ple": lambda one: arch.ple(
        tiny.TASKS,
        (arch.Level((tiny.places(2),), (tiny.places(2),)), arch.Level((one,), (one,))),
        tiny.MIXTURE,
    ),
    "dselect_k": lambda one: arch.dselect_k(tiny.TASKS, (one,) * 3, SELECTION),
    "ltb": lambda one: arch.ltb(
        tiny.TASKS,
        ((tiny.places(2),) * 2, (one,) * 2),
        tiny.linen(nets.Branch(optax.constant_schedule(1.0))),
    ),
    "shared_private": lambda one: arch.shared_private(tiny.TASKS, one, one, gamma=0.1),
    "hard_sharing": lambda one: arch.hard_sharing(tiny.TASKS, one),
    "soft_sharing": lambda one: arch.soft_sharing(tiny.TASKS, one, tie=arch.l2_tie, weight=0.1),
}


@pytest.mark.parametrize("name", sorted(ON_PYRAMIDS))
def test_a_pyramid_s_maps_are_mixed_like_their_values_in_one_row(name):
    plan, row = (ON_PYRAMIDS[name](tiny.pyramid(flat)) for flat in (False, True))
    variables, x = tiny.started(plan)
    found, wanted = (tiny.represented(p, variables, x) for p in (plan, row))
    for task in tiny.TASKS:
        fine, coarse = (np.asarray(m) for m in found.features[task])
        n = 8
        assert fine.shape[:3] == (n, 4, 4) and coarse.shape[:3] == (n, 2, 2)
        values = np.asarray(wanted.features[task])
        if name == "shared_private":  # channels of S and of H_k, where a row has all of S first
            maps = [fine[..., :3], coarse[..., :4], fine[..., 3:], coarse[..., 4:]]
        else:
            maps = [fine, coarse]
        rows = np.concatenate([m.reshape(n, -1) for m in maps], axis=1)
        np.testing.assert_allclose(rows, values, rtol=1e-5, atol=1e-6)
    for penalty, loss in wanted.losses.items():
        np.testing.assert_allclose(found.losses[penalty].values, loss.values, rtol=1e-5)


def trajectory(updater, start, batch, mode, devices):
    """The state after two steps, and all metrics."""
    compiled = parallel.compile_update(updater, mode=mode, num_devices=devices, steps_per_call=1)
    state, seen = compiled.join([start]), []
    for i in range(2):
        key = jax.random.fold_in(KEY, i)
        state, metrics = compiled.update(i, key, state, compiled.put(batch))
        seen.append(jax.device_get(metrics))
    return jax.device_get(compiled.split(state)[0]), seen


@pytest.mark.parametrize("name", ["mtan", *slow(*(n for n in NAMES if n != "mtan"))])
def test_four_devices_agree_with_one(name):
    """In float64; the loss of the second task is masked."""
    agree(tiny.game(name), lambda: tiny.batch(16, jnp.float64))


def test_four_devices_agree_with_one_with_a_data_source_per_task():
    """Of unequal sizes: a mean over a task's own examples."""
    agree(
        tiny.game("shared_private", sources=True), lambda: tiny.batches_apart((16, 8), jnp.float64)
    )


def agree(game, make_batch):
    with jax.enable_x64(True):
        updater, batch = alternating(game), make_batch()
        start = tiny.filled(jax.eval_shape(updater.init, KEY, batch))
        one, *four = (
            trajectory(updater, start, batch, mode, devices)
            for mode, devices in (("jit", 1), ("jit", 4), ("pmap", 4))
        )
        for other in four:
            for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_each_task_s_loss_is_over_its_own_examples():
    game, batch = tiny.game("mmoe", sources=True), tiny.batches_apart((8, 4))
    variables = starting(tiny.filled(jax.eval_shape(game.init, KEY, batch)))

    def both(variables):
        losses = game.turns[0].losses(variables, batch, tiny.context()).losses
        images = {t: batch[f"images/{t}"] for t in tiny.TASKS}
        evaluated = tiny.context(train=False)
        return losses, {t: game.predict[t](variables, x, evaluated) for t, x in images.items()}

    losses, logits = jax.jit(both)(variables)
    for task, n in zip(tiny.TASKS, (8, 4), strict=True):
        likely = tiny.softmax(np.asarray(logits[task]))
        expected = -np.log(likely[np.arange(n), np.asarray(batch[f"labels/{task}"])])
        np.testing.assert_allclose(losses[task].values, expected, rtol=1e-5)
    assert audit.examples(batch) == 8


def test_penalties_enter_no_weighting_and_make_no_group_shared():
    turn = tiny.game("l2_tie").turns[0]._replace(weighting=equal())
    assert table.weighted(turn) == tiny.TASKS
    assert table.shared_groups(turn) == ()
    turn = tiny.game("shared_private").turns[0]._replace(weighting=pcgrad())
    assert table.shared_groups(turn) == ("trunk",) and table.weighted(turn) == tiny.TASKS


def test_a_penalty_keeps_its_coefficient_under_a_weighting():
    """Under equal weights, of losses or of rows, the step is that without a weighting."""
    plan, batch, found = tiny.ALL["shared_private"](tiny.TASKS), tiny.batch(), []
    for weighting in (None, equal(), from_weighting(equal())):
        game = multitask(plan, tiny.heads(), optax.sgd(0.1), weighting=weighting)
        updater = alternating(game)
        state = tiny.filled(jax.eval_shape(updater.init, KEY, batch))
        after, metrics = jax.jit(updater.update)(KEY, state, batch)
        found.append(after.params)
        assert "model/weight/orthogonality/a" not in metrics
    for other in found[1:]:
        for a, b in zip(*map(jax.tree.leaves, (found[0], other)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_task_that_asks_another_s_head_sees_its_features():
    tasks = tiny.heads()
    game = multitask(tiny.ALL["mmoe"](tiny.TASKS), (*tasks, entropy_task(tasks[1])), optax.sgd(0.1))
    row = game.turns[0].objectives["entropy"]
    assert set(row.entries) == {"experts/0", "experts/1", "experts/2", "gate/b", "heads/b"}
    updater, batch = alternating(game), tiny.batch()
    state = tiny.filled(jax.eval_shape(updater.init, KEY, batch))
    _, metrics = jax.jit(updater.update)(KEY, state, batch)
    assert 0 < float(metrics["model/entropy"]) <= np.log(tiny.CLASSES)


def test_a_scheduled_weight_of_a_task_stands_in_all_its_groups():
    ramp = Schedule(lambda step: 0.1 * step, "ramp")
    tasks = (tiny.heads()[0]._replace(weight=ramp), tiny.heads()[1])
    row = multitask(tiny.ALL["cgc"](tiny.TASKS), tasks, optax.sgd(0.1)).turns[0].objectives["a"]
    assert set(row.entries) == {"experts/0/0", "experts/0/a/0", "gate/0/a", "heads/a"}
    assert set(row.entries.values()) == {ramp}


def test_predictions_by_task():
    game, batch = tiny.game("cgc"), tiny.batch()
    variables = starting(tiny.filled(jax.eval_shape(game.init, KEY, batch)))
    assert sorted(game.predict) == ["a", "b", "features/a", "features/b"]
    evaluated = tiny.context(train=False)
    shown = game.predict["features/a"](variables, batch["images"], evaluated)
    assert shown.shape == (8, 5)
    assert game.predict["b"](variables, batch["images"], evaluated).shape == (8, tiny.CLASSES)
    assert sorted(tiny.game("hard_sharing").predict) == ["a", "b", "features"]


def test_faults_are_named():
    plan = tiny.ALL["mmoe"](("a", "c"))
    with pytest.raises(ValueError, match=r"made for the tasks \['a', 'c'\].*are \['a', 'b'\]"):
        multitask(plan, tiny.heads(), optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"distinct task names.*\('a', 'a'\)"):
        tiny.ALL["mmoe"](("a", "a"))
    plan = tiny.ALL["mmoe"](tiny.TASKS)
    with pytest.raises(ValueError, match="'features' need features that all tasks have in common"):
        multitask(plan, tiny.heads(), optax.sgd(0.1), weighting=equal(), rows=Rows("features"))
    tasks = tuple(task._replace(name=n) for task, n in zip(tiny.heads(), ("tie", "b"), strict=True))
    plan = arch.soft_sharing(("tie", "b"), tiny.layer(5), tie=arch.l2_tie)
    with pytest.raises(ValueError, match="distinct names"):
        jax.eval_shape(multitask(plan, tasks, optax.sgd(0.1)).init, KEY, tiny.batch())
