"""One turn's gradients: from the losses of a pass to one gradient tree per moved group.

Every loss is a *local numerator over a global denominator*: the denominators (example counts, sums
of masks) are summed over devices and accumulated slices outside differentiation, so that the sum of
the local gradients is the gradient of the global loss, masked losses included.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl import table
from gan_mtl.mtl.gramian import from_weighting
from gan_mtl.types import (
    Aggregator,
    Array,
    Batch,
    Context,
    Key,
    Loss,
    Outcome,
    PyTree,
    Turn,
    Variables,
    Weighting,
    group_of,
)


class Pass(NamedTuple):
    """The result of a turn's pass, reduced over devices and slices.

    grads: one tree per moved group; losses and metrics: scalars by name; state: the mutable
    collections after the pass, by group; weights: one scalar per weighted objective.
    """

    grads: dict[str, PyTree]
    losses: dict[str, Array]
    metrics: dict[str, Array]
    state: dict[str, dict[str, PyTree]]
    weights: dict[str, Array]
    weighting_state: PyTree


def take_slice(batch: Batch, i: int, of: int) -> Batch:
    """Every `of`-th example from the i-th on: the same examples however the batch is sharded."""
    if of == 1:
        return batch
    return {k: x.reshape(x.shape[0] // of, of, *x.shape[1:])[:, i] for k, x in batch.items()}


def devices(axis_name: str | None) -> int:
    """The number of devices along the pmap axis; a Python integer, 1 under jit."""
    return 1 if axis_name is None else jax.lax.psum(1, axis_name)


def reduce_sum(tree: PyTree, axis_name: str | None) -> PyTree:
    """The sum over devices under pmap; the tree itself under jit, where arrays are global."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def _count(loss: Loss, slices: int, axis_name: str | None) -> Array | int:
    """This slice's share of the denominator: a sum of the mask, or a number of examples."""
    if loss.values.ndim == 0:
        return slices * devices(axis_name)
    if loss.mask is None:
        return loss.values.shape[0] * slices * devices(axis_name)
    return jax.lax.stop_gradient(loss.mask.sum())


def _share(loss: Loss, denominator: Array | int) -> Array:
    """This device's and slice's share of the global mean: a scalar."""
    if loss.mask is None:
        return loss.values.sum() / denominator
    total = jnp.where(loss.mask > 0, loss.values * loss.mask, 0.0).sum()
    return total / jnp.where(denominator > 0, denominator, 1)


def _everything(outcome: Outcome) -> dict[str, Loss]:
    return {**outcome.losses, **outcome.metrics}


def _denominators(parts: list[dict[str, Loss]], axis_name: str | None) -> dict[str, Array | int]:
    """The global denominators of all losses, from the losses of every slice."""
    total: dict[str, Array | int] = {}
    for losses in parts:
        for name, loss in losses.items():
            count = _count(loss, len(parts), axis_name)
            total[name] = total[name] + count if loss.mask is not None and name in total else count
    masked = {name: n for name, n in total.items() if parts[0][name].mask is not None}
    return {**total, **reduce_sum(masked, axis_name)}


def _slices(batch: Batch, context: Context, accumulate: int) -> list[tuple[Batch, Context]]:
    if accumulate == 1:
        return [(batch, context)]
    return [
        (take_slice(batch, j, accumulate), context._replace(stride=accumulate, offset=j))
        for j in range(accumulate)
    ]


def evaluate(
    turn: Turn,
    params: dict[str, PyTree],
    state: dict[str, dict[str, PyTree]],
    batch: Batch,
    context: Context,
) -> dict[str, Array]:
    """The turn's losses alone, over the global batch: scalars by objective."""
    losses = turn.losses(Variables(params, state), batch, context).losses
    denominators = _denominators([losses], context.axis_name)
    shares = {name: _share(loss, denominators[name]) for name, loss in losses.items()}
    return reduce_sum(shares, context.axis_name)


def turn_pass(
    turn: Turn,
    names: tuple[str, ...],
    params: dict[str, PyTree],
    state: dict[str, dict[str, PyTree]],
    weighting_state: PyTree,
    batch: Batch,
    context: Context,
    accumulate: int = 1,
) -> Pass:
    """Gradients, losses and new collections of one turn on one slice of the batch.

    Args:
        names: the objectives that are due; the others are neither computed nor reported.
        batch: the turn's slice; every leaf has its examples along the first axis.
        accumulate: number of slices the batch is worked through in, one after another.
    """
    rows = {name: turn.objectives[name] for name in names}
    moving = tuple(dict.fromkeys(e for row in rows.values() for e in row.entries))
    columns = {
        entry: {
            name: table.coefficient(row.entries[entry], context.step, table.times(row, turn))
            for name, row in rows.items()
            if entry in row.entries
        }
        for entry in moving
    }
    slices = _slices(batch, context, accumulate)
    denominators = None
    if accumulate > 1:  # only masks are used: the networks' passes are dead code
        passes = [turn.losses(Variables(params, state), part, c) for part, c in slices]
        denominators = _denominators([_everything(p) for p in passes], context.axis_name)

    split = _needs_rows(turn, accumulate)
    moving_params = {entry: params[group_of(entry)] for entry in moving}
    collected, losses, metrics, weights, after = None, None, None, {}, state
    for part, part_context in slices:

        def shares(moving_params, part=part, part_context=part_context):
            everything = Variables({**params, **moving_params}, state)
            outcome = turn.losses(everything, part, part_context)
            found = _everything(outcome)
            counts = denominators or _denominators([found], context.axis_name)
            values = {name: _share(loss, counts[name]) for name, loss in found.items()}
            seen = {name: values[name] for name in outcome.metrics}
            return {name: values[name] for name in names}, (outcome.variables.state, seen)

        # Every slice starts from the same collections: what no batch enters ends up as in one pass.
        values, pullback, (after, seen) = jax.vjp(shares, moving_params, has_aux=True)
        if split:
            found = {name: _row(pullback, values, columns, name) for name in names}
        else:
            totals = reduce_sum(values, context.axis_name)
            weights, weighting_state = _loss_weights(turn, totals, weighting_state, context)
            found = _columns(pullback, values, columns, weights, rows)
        collected = _add(collected, found)
        losses, metrics = _add(losses, values), _add(metrics, seen)
        if accumulate > 1:
            moving_params, collected = jax.lax.optimization_barrier((moving_params, collected))

    collected, losses, metrics = reduce_sum((collected, losses, metrics), context.axis_name)
    grads = collected
    if split:
        grads, weights, weighting_state = _aggregate(
            turn, rows, collected, losses, weighting_state, context
        )
    return Pass(grads, losses, metrics, after, weights, weighting_state)


def _needs_rows(turn: Turn, accumulate: int) -> bool:
    """Whether objectives must be differentiated one by one."""
    weighting = turn.weighting
    if weighting is None:
        return False
    return isinstance(weighting, Aggregator) or weighting.needs_gramian or accumulate > 1


def _add(total: PyTree | None, tree: PyTree) -> PyTree:
    return tree if total is None else jax.tree.map(jnp.add, total, tree)


def _cotangent(values: dict[str, Array], column: dict[str, Array]) -> dict[str, Array]:
    return {
        name: jnp.asarray(column[name], value.dtype) if name in column else jnp.zeros_like(value)
        for name, value in values.items()
    }


def _columns(pullback, values, columns, weights, rows) -> dict[str, PyTree]:
    """Gradients by group, with one backward pass per distinct column of the table."""
    patterns: dict[tuple, list[str]] = {}
    for entry in columns:
        pattern = tuple(
            (name, row.entries[entry]) for name, row in rows.items() if entry in row.entries
        )
        patterns.setdefault(pattern, []).append(entry)
    grads: dict[str, PyTree] = {}
    for same in patterns.values():
        column = {n: c * weights.get(n, 1.0) for n, c in columns[same[0]].items()}
        (found,) = pullback(_cotangent(values, column))
        for entry in same:
            group = group_of(entry)
            grads[group] = _add(grads.get(group), found[entry])
    return grads


def _row(pullback, values, columns, name: str) -> dict[str, PyTree]:
    """One objective's gradient by group, coefficients and signs included."""
    (found,) = pullback(_cotangent(values, {name: jnp.ones_like(values[name])}))
    row: dict[str, PyTree] = {}
    for entry, column in columns.items():
        if name in column:
            scaled = jax.tree.map(
                lambda g, c=column[name]: g * jnp.asarray(c, g.dtype), found[entry]
            )
            row[group_of(entry)] = _add(row.get(group_of(entry)), scaled)
    return row


def _loss_weights(turn, losses, state, context) -> tuple[dict[str, Array], PyTree]:
    if turn.weighting is None:
        return {}, state
    names = table.weighted(turn)
    vector = jax.lax.stop_gradient(jnp.stack([losses[name] for name in names]))
    weights, state = turn.weighting.update(_weighting_key(context), vector, None, state)
    return dict(zip(names, weights, strict=True)), state


def _weighting_key(context: Context) -> Key:
    return context.fold("weighting").key


def _aggregate(turn, rows, gradients, losses, state, context):
    """Puts per-objective gradients together: the aggregator over the shared groups, the rest added.

    Returns: gradients by group, weights by objective, the weighting's new state.
    """
    names = table.weighted(turn)
    weighting = turn.weighting
    aggregator = from_weighting(weighting) if isinstance(weighting, Weighting) else weighting
    shared = table.shared_groups(turn)
    zeros = {
        group: jax.tree.map(
            jnp.zeros_like, next(g[group] for g in gradients.values() if group in g)
        )
        for group in shared
    }
    stacked = {
        group: jax.tree.map(
            lambda *leaves: jnp.stack(leaves),
            *[gradients[name].get(group, zeros[group]) for name in names],
        )
        for group in shared
    }
    vector = jnp.stack([losses[name] for name in names])
    direction, weights, state = aggregator.update(_weighting_key(context), vector, stacked, state)
    grads = dict(direction)
    for name in rows:
        for group, gradient in gradients[name].items():
            if name in names and group in shared:
                continue
            if name in names and aggregator.scales_private:
                weight = weights[names.index(name)]
                gradient = jax.tree.map(lambda g, w=weight: g * w.astype(g.dtype), gradient)
            grads[group] = _add(grads.get(group), gradient)
    return grads, dict(zip(names, weights, strict=True)), state
