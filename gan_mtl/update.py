"""The alternating update: a `Game` becomes a pair of pure functions, `init` and `update`.

`update(key, state, batch, axis_name=None, due=None) -> (state, metrics)` plays every turn of the
game once. Nothing here compiles, prints or looks at the number of devices beyond `axis_name`:
`parallel.py` puts the same body under jit or pmap.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from gan_mtl import audit, rows, table
from gan_mtl.gradients import evaluate, take_slice, turn_pass
from gan_mtl.types import (
    MEMORY,
    Array,
    Batch,
    Context,
    Game,
    Key,
    PyTree,
    TrainState,
    Turn,
    Updater,
    Variables,
    devices,
    starting,
)


def alternating(game: Game, *, accumulate: int = 1, norms: bool = False) -> Updater:
    """Makes the alternating update of a game.

    Within a step the turns are played in order; a turn that repeats r times takes r distinct slices
    of the batch, which then holds r times the examples of one pass. The applied gradient of every
    group is the coefficient-weighted sum of the gradients of the objectives that move it (or what
    the turn's weighting makes of them); nothing else is moved or written.

    Args:
        game: the table, its turns and their functions.
        accumulate: slices that every pass is worked through in, one after another, giving the
            gradient of the whole batch. Batch statistics do not allow it and are refused by name.
        norms: report the gradient norm of every moved group as `grad_norm/<turn>/<group>`.

    Returns:
        `Updater(init, update, periods)`. Metrics are float scalars: `<turn>/<objective>` for every
        loss (NaN where a lazy one is not due; of the last repeat), `<turn>/weight/<objective>`, and
        what the turns report.

    Raises:
        ValueError: for a table that names unknown groups or objectives, a group that nothing
            trains, a batch that does not divide; by name, when `init` or `update` is traced.
    """
    audit.check_table(game)
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}.")
    all_periods = table.periods(game)

    def init(key: Key, batch: Batch) -> TrainState:
        return _init(game, key, batch)

    def update(
        key: Key,
        state: TrainState,
        batch: Batch,
        axis_name: str | None = None,
        due: tuple[bool, ...] | None = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        audit.check_batch(game, batch, accumulate)
        audit.check_accumulation(game, state, batch, accumulate)

        def variant(due):
            played = frozenset(p for p, now in zip(all_periods, due, strict=True) if now)

            def play(key, state, batch):
                return _play(game, key, state, batch, axis_name, played, accumulate, norms)

            return play

        if due is not None:
            if len(due) != len(all_periods):
                raise ValueError(f"due must have one entry for each of the periods {all_periods}.")
            return variant(due)(key, state, batch)
        if not all_periods:
            return variant(())(key, state, batch)
        options = list(itertools.product((False, True), repeat=len(all_periods)))
        which = sum(
            (state.step % period == 0).astype(jnp.int32) << (len(all_periods) - 1 - i)
            for i, period in enumerate(all_periods)
        )
        return jax.lax.switch(which, [variant(o) for o in options], key, state, batch)

    return Updater(init, update, all_periods)


def variables_of(state: TrainState, ema: bool = True) -> Variables:
    """The variables of a state for evaluation: averaged groups in place of the current ones.

    Args:
        ema: False gives the current parameters of every group.
    """
    averaged = state.ema if ema else {}
    params = {**state.params, **{name: tree["params"] for name, tree in averaged.items()}}
    collections = {**state.state, **{name: tree["state"] for name, tree in averaged.items()}}
    return Variables(params, collections)


def _init(game: Game, key: Key, batch: Batch) -> TrainState:
    key_groups, key_check = jax.random.split(key)
    first = take_slice(batch, 0, audit.slices(game))
    groups = game.init(key_groups, first)
    audit.check_groups(game, groups)
    audit.check_outcomes(game, groups, first, key_check)
    params, state = starting(groups)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        examples=jnp.zeros((), int),
        params=params,
        state=state,
        opt={turn.name: _init_optimizer(turn, params) for turn in game.turns},
        weighting={
            turn.name: rows.init_state(turn, params)
            for turn in game.turns
            if turn.weighting is not None
        },
        ema={
            name: jax.tree.map(jnp.copy, {"params": params[name], "state": state[name]})
            for name in game.ema
        },
    )


def _play(
    game: Game,
    key: Key,
    state: TrainState,
    batch: Batch,
    axis_name: str | None,
    played: frozenset[int],
    accumulate: int,
    norms: bool,
) -> tuple[TrainState, dict[str, Array]]:
    """One step with a known set of due periods."""
    metrics: dict[str, Array] = {}
    for number, turn in enumerate(game.turns):
        turn_key = jax.random.fold_in(key, number)
        for repeat in range(turn.repeats):
            context = Context(jax.random.fold_in(turn_key, repeat), state.step, axis_name=axis_name)
            part = take_slice(batch, repeat, audit.slices(game))
            if not _due_rows(turn, played):
                metrics.update(_absent(turn, state, part, context, accumulate, norms))
                continue
            state, found = _play_turn(turn, state, part, context, played, accumulate, norms)
            metrics.update(found)
    seen = audit.examples(batch) * devices(axis_name)
    state = state._replace(
        step=state.step + 1,
        examples=state.examples + seen,
        ema=_average(game, state, seen),
    )
    return state, metrics


def _play_turn(
    turn: Turn,
    state: TrainState,
    batch: Batch,
    context: Context,
    played: frozenset[int],
    accumulate: int,
    norms: bool,
) -> tuple[TrainState, dict[str, Array]]:
    names = _due_rows(turn, played)
    weighting_state = state.weighting.get(turn.name)
    weigh = turn.rows.every == 1 or turn.rows.every in played
    result = turn_pass(
        turn, names, state.params, state.state, weighting_state, batch, context, accumulate, weigh
    )
    moved = tuple(result.grads)
    params, opt = _step(turn, result.grads, state.opt[turn.name], state.params)
    weighting_state = result.weighting_state
    if turn.weighting is not None and turn.weighting.observe is not None:
        after = evaluate(turn, {**state.params, **params}, state.state, batch, context)
        vector = jnp.stack([after[name] for name in table.weighted(turn)])
        weighting_state = rows.observed(turn, vector, weighting_state)
    values = {**result.losses, **result.metrics}
    metrics = {f"{turn.name}/{name}": value for name, value in values.items()}
    metrics.update({f"{turn.name}/weight/{name}": w for name, w in result.weights.items()})
    if norms:
        for group in moved:
            norm = optax.tree.norm(result.grads[group])
            metrics[f"grad_norm/{turn.name}/{group}"] = norm
    weighting = state.weighting
    if turn.weighting is not None:
        weighting = {**weighting, turn.name: weighting_state}
    resting = {MEMORY + name for name in turn.objectives if name not in names}
    written = {
        group: {k: state.state[group][k] if k in resting else x for k, x in new.items()}
        for group, new in result.state.items()
        if group in moved
    }
    return (
        state._replace(
            params={**state.params, **params},
            state={**state.state, **written},
            opt={**state.opt, turn.name: opt},
            weighting=weighting,
        ),
        metrics,
    )


def _due_rows(turn: Turn, played: frozenset[int]) -> tuple[str, ...]:
    """The rows of the turn that are played; none where the turn itself is not due."""
    if turn.every > 1 and turn.every not in played:
        return ()
    return tuple(n for n, row in turn.objectives.items() if row.every == 1 or row.every in played)


def _absent(turn: Turn, state, batch, context, accumulate, norms) -> dict[str, Array]:
    """NaN under every name that the turn reports when it is played, so that steps are alike."""
    every = frozenset(
        {turn.every, turn.rows.every, *(row.every for row in turn.objectives.values())}
    )

    def play():
        return _play_turn(turn, state, batch, context, every, accumulate, norms)[1]

    return {name: jnp.full(x.shape, jnp.nan, x.dtype) for name, x in jax.eval_shape(play).items()}


def _init_optimizer(turn: Turn, params: dict[str, PyTree]) -> PyTree:
    moved = {group: params[group] for group in table.moved_groups(turn)}
    if isinstance(turn.optimizer, Mapping):
        return {group: turn.optimizer[group].init(tree) for group, tree in moved.items()}
    return turn.optimizer.init(moved)


def _step(turn: Turn, grads, opt, params) -> tuple[dict[str, PyTree], PyTree]:
    """One optimizer step on the moved groups: their new parameters and the optimizer's state."""
    groups = table.moved_groups(turn)
    grads = {g: grads[g] if g in grads else jax.tree.map(jnp.zeros_like, params[g]) for g in groups}
    moved = {group: params[group] for group in groups}
    if isinstance(turn.optimizer, Mapping):
        pairs = {g: turn.optimizer[g].update(grads[g], opt[g], moved[g]) for g in groups}
        updates = {g: pair[0] for g, pair in pairs.items()}
        opt = {g: pair[1] for g, pair in pairs.items()}
    else:
        updates, opt = turn.optimizer.update(grads, opt, moved)
    return optax.apply_updates(moved, updates), opt  # pyright: ignore[reportReturnType]


def _average(game: Game, state: TrainState, seen: int) -> dict[str, dict[str, PyTree]]:
    """EMA with a half-life in examples of the global batch; statistics are copied (StyleGAN)."""
    averaged = {}
    for group, half_life in game.ema.items():
        keep = 0.5 ** (seen / half_life)
        averaged[group] = {
            "params": jax.tree.map(
                lambda old, new, keep=keep: old * keep + new * (1 - keep),
                state.ema[group]["params"],
                state.params[group],
            ),
            "state": state.state[group],
        }
    return averaged
