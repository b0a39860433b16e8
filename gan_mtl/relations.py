"""How the objectives of a turn relate, read from a state and a batch; the update is not touched.

A turn counts whose objectives share a group, with a weighting or without. Under jit arrays are
global; there is no pmap axis here.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import table
from gan_mtl.gradients import evaluate, take_slice, turn_pass
from gan_mtl.mtl.gramian import gramian
from gan_mtl.types import (
    EXACT,
    Aggregator,
    Batch,
    Context,
    Game,
    Key,
    PyTree,
    TrainState,
    Turn,
)

Matrices = dict[str, Float[Array, "tasks tasks"]]  # by turn


def related(game: Game) -> dict[str, tuple[str, ...]]:
    """By turn, the objectives that move a group which another one moves too, in order."""
    found = {turn.name: _objectives(turn) for turn in game.turns}
    return {name: objectives for name, objectives in found.items() if len(objectives) > 1}


def gramians(game: Game) -> Callable[[Key, TrainState, Batch], Matrices]:
    """`(key, state, batch) -> {turn: [T, T]}`: inner products of the gradients on shared groups.

    Coefficients and signs are included, lazy rows are not; one backward pass per objective. The
    order is that of `related`; cosines and magnitudes are in `metrics`.
    """

    def all_of(key: Key, state: TrainState, batch: Batch) -> Matrices:
        return {
            turn.name: _pass(turn, gramian, key, state, batch, game)
            for turn in game.turns
            if turn.name in related(game)
        }

    return all_of


def lookahead_losses(
    game: Game, turn_name: str, rate: float
) -> Callable[[Key, TrainState, Batch], tuple[Float[Array, " tasks"], Float[Array, "tasks tasks"]]]:
    """What a step on one objective alone does to the losses of all, for `metrics.affinities`.

    Returns:
        `(key, state, batch) -> (before [T], after [T, T])`; row i of `after` holds the losses on
        the same batch and draws after a step of plain gradient descent of length `rate` on the
        shared groups along objective i.

    Reference:
        Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning", NeurIPS
        2021.
    """
    (turn,) = [turn for turn in game.turns if turn.name == turn_name]
    names = _objectives(turn)

    def affinity(key: Key, state: TrainState, batch: Batch):
        rows = _pass(turn, lambda rows: rows, key, state, batch, game)
        part, context = _part(game, turn, key, state, batch)

        def losses(params: dict[str, PyTree]) -> Array:
            found = evaluate(turn, {**state.params, **params}, state.state, part, context)
            return jnp.stack([found[name] for name in names])

        shared = {group: state.params[group] for group in rows}
        after = [
            losses(jax.tree.map(lambda p, g, i=i: p - rate * g[i], shared, rows))
            for i in range(len(names))
        ]
        return losses(shared), jnp.stack(after)

    return affinity


def _objectives(turn: Turn) -> tuple[str, ...]:
    return table.weighted(turn._replace(weighting=_watching(gramian)))


def _watching(look: Callable[[PyTree], PyTree]) -> Aggregator:
    """An aggregator that moves nothing, and whose state is what it has seen of the rows."""

    def update(key, losses, rows, state):
        del key, state
        still = jax.tree.map(lambda row: jnp.zeros_like(row[0]), rows)
        return still, jnp.ones_like(losses), look(rows)

    return Aggregator(lambda count: (), update)


def _part(game: Game, turn: Turn, key: Key, state: TrainState, batch: Batch):
    slices = max(turn.repeats for turn in game.turns)
    number = [t.name for t in game.turns].index(turn.name)
    return take_slice(batch, 0, slices), Context(jax.random.fold_in(key, number), state.step)


def _pass(turn: Turn, look, key, state, batch, game: Game) -> PyTree:
    part, context = _part(game, turn, key, state, batch)
    watched = turn._replace(weighting=_watching(look), rows=EXACT)
    steady = tuple(name for name, row in turn.objectives.items() if row.every == 1)
    found = turn_pass(watched, steady, state.params, state.state, (), part, context)
    return found.weighting_state
