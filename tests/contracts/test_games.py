"""What every game of the library keeps to."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from marks import slow

from gan_mtl import audit, table
from gan_mtl.run import checkpoints
from gan_mtl.types import Context, Game, TrainState
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(0)
STEPS = 4


class Run(NamedTuple):
    """A game that was played for `STEPS` steps."""

    name: str
    game: Game
    start: TrainState
    state: TrainState
    seen: list
    half: TrainState
    """The state in the middle."""
    update: Callable


def bits(state):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(jax.device_get(state))]


# Games made like another one of the zoo, whose quick tests are those of their own files.
ALIKE = (
    *("ali", "classifier", "confused", "cycled", "rotation_gan", "second_phase"),
    *("shared_embedding", "sigma_vae", "through_a_code"),
)


@pytest.fixture(scope="module", params=[*sorted(set(zoo.GAMES) - set(ALIKE)), *slow(*ALIKE)])
def run(request):
    """Every game in turn, a few compiled steps of it."""
    game = zoo.game(request.param)
    updater = alternating(game)
    update, batch = jax.jit(updater.update), zoo.batch()
    start = jax.jit(updater.init)(KEY, batch)
    state, seen, states = start, [], []
    for i in range(STEPS):
        state, metrics = update(jax.random.fold_in(KEY, i), state, batch)
        seen.append(jax.device_get(metrics))
        states.append(state)
    assert update._cache_size() == 1
    yield Run(request.param, game, start, state, seen, states[STEPS // 2 - 1], update)
    jax.clear_caches()  # programs of many games at once are more than a process may hold


def test_no_entry_of_the_table_is_dead(run):
    game = run.game
    norms = jax.jit(audit.raw_gradient_norms(game))
    audit.check_alive([norms(jax.random.key(i), zoo.batch()) for i in range(3)])


def test_structure_shapes_and_dtypes_of_the_state_are_stable(run):
    start, state = run.start, run.state
    assert jax.tree.structure(start) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(state), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
    floating = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert all(x.dtype == jnp.float32 for x in floating)


def test_every_group_moves_and_losses_are_finite(run):
    game, start, state, seen = run.game, run.start, run.state, run.seen
    for turn in game.turns:
        for group in table.moved_groups(turn):
            pairs = zip(
                jax.tree.leaves(start.params[group]),
                jax.tree.leaves(state.params[group]),
                strict=True,
            )
            assert any(not np.array_equal(a, b) for a, b in pairs), (
                f"{run.name}: {group} stood still"
            )
        for objective, row in turn.objectives.items():
            values = [m[f"{turn.name}/{objective}"] for m in seen]
            due = [row.every == 1 or i % row.every == 0 for i in range(STEPS)]
            assert [bool(np.isfinite(v)) for v in values] == due


def test_k_steps_save_restore_k_are_2k_steps_bit_for_bit(run, tmp_path):
    half = STEPS // 2
    with contextlib.closing(checkpoints.open_checkpoints(tmp_path / "checkpoints")) as store:
        store.save(half, jax.device_get(run.half), {})
    with contextlib.closing(checkpoints.open_checkpoints(tmp_path / "checkpoints")) as store:
        restored = store.restore(jax.device_get(run.start))
    assert restored.step == half
    state = restored.state
    for i in range(half, STEPS):
        state, _ = run.update(jax.random.fold_in(KEY, i), state, zoo.batch())
    assert bits(state) == bits(run.state)


def test_it_samples_and_predicts_in_the_data_s_shape(run):
    game, state = run.game, run.state
    context = Context(jax.random.key(1), jnp.zeros((), jnp.int32), train=False)
    variables = variables_of(state)
    batch = zoo.batch()
    if game.sample is not None:
        images = game.sample(variables, 6, None, context)
        assert images.shape == (6, 4, 4, 1) and float(jnp.abs(images).max()) <= 1.0
        again = game.sample(variables, 6, None, context)
        np.testing.assert_array_equal(images, again)
    widths = {"class": zoo.CLASSES, "rotation": 4}
    for name, predict in game.predict.items():
        outputs = predict(variables, batch["images"], context)
        assert name not in widths or outputs.shape == (8, widths[name])
        assert {leaf.shape[0] for leaf in jax.tree.leaves(outputs)} == {8}


def test_the_table_is_printed_with_every_row_and_column(run):
    game = run.game
    lines = table.render(game).splitlines()
    assert len(lines) == 1 + sum(len(turn.objectives) for turn in game.turns)
    for turn in game.turns:
        for entry in table.entries(turn):
            assert entry in lines[0].split()
