"""One turn's gradients: from the losses of a pass to one gradient tree per moved group.

Every loss is a *local numerator over a global denominator*: the denominators (example counts, sums
of masks) are summed over devices and accumulated slices outside differentiation, so that the sum of
the local gradients is the gradient of the global loss, masked losses included.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl import rows as rows_lib
from gan_mtl import table
from gan_mtl.types import (
    TAP,
    Aggregator,
    Array,
    Batch,
    Context,
    Loss,
    Outcome,
    PyTree,
    Turn,
    Variables,
    devices,
    group_of,
)


class Pass(NamedTuple):
    """The result of a turn's pass, reduced over devices and slices.

    grads: one tree per moved group; losses and metrics: scalars by name, the latter with a NaN for
    every objective that is not due; state: the mutable collections after the pass, by group;
    weights: one scalar per weighted objective.
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
    weigh: bool = True,
) -> Pass:
    """Gradients, losses and new collections of one turn on one slice of the batch.

    Args:
        names: the objectives that are due; the others are not computed, and reported as NaN.
        batch: the turn's slice; every leaf has its examples along the first axis.
        accumulate: number of slices the batch is worked through in, one after another.
        weigh: whether the weights are due; otherwise the last ones are used again.
    """
    rows = {name: turn.objectives[name] for name in names}
    idle = [name for name in turn.objectives if name not in names]
    columns = rows_lib.columns_of(turn, rows, context.step)
    how = _how(turn, accumulate, weigh)
    count = table.num_batches(turn)
    slices = _slices(batch, context, max(accumulate, count))
    denominators = None
    if accumulate > 1:  # only masks are used: the networks' passes are dead code
        passes = [turn.losses(Variables(params, state), part, c) for part, c in slices]
        denominators = _denominators([_everything(p) for p in passes], context.axis_name)
    moving = {entry: params[group_of(entry)] for entry in columns}
    weights = rows_lib.kept_weights(turn, weighting_state) if how == "kept" else {}
    found, values, seen, after = [], [], [], state
    for part, part_context in slices:
        taps = {}
        if how == "features":
            taps = _taps(turn, Variables(params, state), part, part_context)

        def shares(moving, part=part, part_context=part_context):
            outcome = turn.losses(Variables({**params, **moving}, state), part, part_context)
            every = _everything(outcome)
            counts = denominators or _denominators([every], context.axis_name)
            scalars = {name: _share(loss, counts[name]) for name, loss in every.items()}
            metrics = {name: scalars[name] for name in outcome.metrics}
            metrics |= {name: jnp.full_like(scalars[name], jnp.nan) for name in idle}
            return {name: scalars[name] for name in names}, (outcome.variables.state, metrics)

        # Every slice starts from the same collections: what no batch enters ends up as in one pass.
        at = {**moving, **taps}
        scalars, linear, (after, metrics) = jax.linearize(shares, at, has_aux=True)
        pullback = rows_lib.pullback_of(linear, at)
        if how == "rows":
            found.append(rows_lib.rows(turn, pullback, scalars, columns))
        else:
            if how != "kept":
                weights, weighting_state = _weights(
                    turn, how, pullback, scalars, columns, weighting_state, context
                )
            found.append(rows_lib.weigh_columns(turn, pullback, scalars, columns, weights))
        values.append(scalars)
        seen.append(metrics)
        if len(slices) > 1:
            moving, found[-1] = jax.lax.optimization_barrier((moving, found[-1]))

    totals, metrics = (
        reduce_sum(rows_lib.added(x, count), context.axis_name) for x in (values, seen)
    )
    if how != "rows":
        grads = reduce_sum(rows_lib.added(found), context.axis_name)
    else:
        found = reduce_sum(found if count > 1 else [rows_lib.added(found)], context.axis_name)
        scalars = reduce_sum(values, context.axis_name) if count > 1 else [totals]
        grads, weights, weighting_state = rows_lib.aggregate(
            turn, rows, found, scalars, weighting_state, context
        )
    return Pass(grads, totals, metrics, after, weights, weighting_state)


How = Literal["sum", "losses", "features", "kept", "rows"]


def _how(turn: Turn, accumulate: int, weigh: bool) -> How:
    """How the turn comes from losses to gradients; one backward pass, except for "rows"."""
    weighting = turn.weighting
    if weighting is None:
        return "sum"
    if not weigh:
        return "kept"
    if isinstance(weighting, Aggregator):
        return "rows"
    if weighting.needs_gramian:
        return "features" if turn.rows.of == "features" else "rows"
    return "losses" if accumulate == 1 else "rows"


def _taps(turn: Turn, variables: Variables, batch: Batch, context: Context) -> dict[str, PyTree]:
    """Zeros in the shape of the representation, for gradients with respect to it."""
    shape = jax.eval_shape(lambda v, b: turn.losses(v, b, context).features, variables, batch)
    if shape is None:
        raise ValueError(
            f"Turn {turn.name!r} has rows of 'features', but its outcome names none: pass the "
            "shared representation through `variables.tap` and return it as `Outcome.features`, or "
            "use rows of 'parameters'."
        )
    return {TAP: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)}


def _weights(turn, how: How, pullback, scalars, columns, state, context):
    """Weights by objective before the backward pass, and the weighting's new state."""
    if how == "sum":
        return {}, state
    names = table.weighted(turn)
    totals = reduce_sum(scalars, context.axis_name)
    vector = jax.lax.stop_gradient(jnp.stack([totals[name] for name in names]))
    products = None
    if how == "features":
        products = rows_lib.feature_gramian(turn, pullback, scalars, columns)
        products = reduce_sum(products, context.axis_name)
    return rows_lib.weights_of(turn, vector, products, state, context)
