"""From the pullback of a pass to rows, their Gramian, weights, and one gradient tree per group.

A *column* of the table is an entry (a group, perhaps in a role) with the coefficients of the
objectives that move it. Objectives of one column need one backward pass together, or one each where
a weighting or an aggregator has to look at their gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from gan_mtl import table
from gan_mtl.mtl.gramian import from_weighting, gramian
from gan_mtl.types import (
    TAP,
    Aggregator,
    Array,
    Context,
    Key,
    Objective,
    PyTree,
    Turn,
    Weighting,
    group_of,
)

Scalars = dict[str, Array]  # by objective
Columns = dict[str, dict[str, Array]]  # coefficients by entry and objective
Pullback = Callable[[Scalars], tuple[dict[str, PyTree]]]


def columns_of(turn: Turn, rows: Mapping[str, Objective], step: Array) -> Columns:
    """The coefficients at this step, by entry and objective, factors of lazy rows included."""
    entries = dict.fromkeys(entry for row in rows.values() for entry in row.entries)
    return {
        entry: {
            name: table.coefficient(row.entries[entry], step, table.times(row, turn))
            for name, row in rows.items()
            if entry in row.entries
        }
        for entry in entries
    }


def pullback_of(linear: Callable[[PyTree], Scalars], at: PyTree) -> Pullback:
    """The transpose of a linearised pass: cotangents of some objectives to gradients at `at`.

    An objective without a cotangent costs nothing. With a zero in its place, as `jax.vjp` wants it,
    its head's backward pass is computed: K times K of them for K rows.
    """

    def pullback(cotangents):
        def asked(tangents):
            found = linear(tangents)
            return {name: found[name] for name in cotangents}

        return jax.linear_transpose(asked, at)(cotangents)

    return pullback


def rows(turn: Turn, pullback: Pullback, scalars: Scalars, columns: Columns):
    """Every objective's gradient by group, coefficients and signs included."""
    names = tuple(scalars)
    vmapped = turn.rows.vmapped
    if jax.default_backend() != "cpu" if vmapped is None else vmapped:
        eye = jnp.eye(len(names))
        cotangents = {n: eye[:, i].astype(scalars[n].dtype) for i, n in enumerate(names)}
        (stacked,) = jax.vmap(pullback)(cotangents)
        found = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(len(names))]
    else:
        found = [pullback({name: jnp.ones_like(scalars[name])})[0] for name in names]
    return {name: _row(name, one, columns) for name, one in zip(names, found, strict=True)}


def _row(name: str, gradients: dict[str, PyTree], columns: Columns) -> dict[str, PyTree]:
    row: dict[str, PyTree] = {}
    for entry, column in columns.items():
        if name in column:
            scaled = jax.tree.map(
                lambda g, c=column[name]: g * jnp.asarray(c, g.dtype), gradients[entry]
            )
            row[group_of(entry)] = _add(row.get(group_of(entry)), scaled)
    return row


def _add(total: PyTree | None, tree: PyTree) -> PyTree:
    return tree if total is None else jax.tree.map(jnp.add, total, tree)


def weigh_columns(
    turn: Turn, pullback: Pullback, scalars: Scalars, columns: Columns, weights: Scalars
) -> dict[str, PyTree]:
    """Gradients by group under known weights, with one backward pass per distinct column."""
    shared = table.shared_groups(turn)
    private = turn.weighting is not None and _aggregator(turn.weighting).scales_private
    patterns: dict[tuple, list[str]] = {}
    for entry, column in columns.items():
        weighs = private or group_of(entry) in shared
        cells = tuple((name, turn.objectives[name].entries[entry]) for name in column)
        patterns.setdefault((weighs, cells), []).append(entry)
    grads: dict[str, PyTree] = {}
    for (weighs, _), same in patterns.items():
        column = {
            n: c * (weights.get(n, 1.0) if weighs else 1.0) for n, c in columns[same[0]].items()
        }
        (found,) = pullback({n: jnp.asarray(c, scalars[n].dtype) for n, c in column.items()})
        for entry in same:
            grads[group_of(entry)] = _add(grads.get(group_of(entry)), found[entry])
    return grads


def _aggregator(weighting: Weighting | Aggregator) -> Aggregator:
    return from_weighting(weighting) if isinstance(weighting, Weighting) else weighting


def feature_gramian(turn: Turn, pullback: Pullback, scalars: Scalars, columns: Columns) -> Array:
    """This device's part of the Gramian of the gradients with respect to the tapped features."""
    shared = table.shared_groups(turn)
    found = []
    for name in table.weighted(turn):
        (gradients,) = pullback({name: jnp.ones_like(scalars[name])})
        scale = next(c[name] for e, c in columns.items() if group_of(e) in shared and name in c)
        found.append(_scaled(gradients[TAP], scale))
    return gramian(jax.tree.map(lambda *rows: jnp.stack(rows), *found))


def _scaled(row: PyTree, scale: Array) -> PyTree:
    return jax.tree.map(lambda x: x * scale.astype(x.dtype), row)


def init_state(turn: Turn, params: dict[str, PyTree]) -> PyTree:
    """The weighting's first state; with the last weights where they are used again."""
    assert turn.weighting is not None
    count = len(table.weighted(turn))
    if isinstance(turn.weighting, Aggregator) and turn.weighting.keeps_rows:
        shared = {group: params[group] for group in table.shared_groups(turn)}
        still = jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), shared)
        return turn.weighting.init(count, still)
    state = turn.weighting.init(count)
    return state if turn.rows.every == 1 else {"of": state, "weights": jnp.ones(count)}


def kept_weights(turn: Turn, state: PyTree) -> Scalars:
    """The last weights by objective."""
    return dict(zip(table.weighted(turn), state["weights"], strict=True))


def observed(turn: Turn, losses: Array, state: PyTree) -> PyTree:
    """The weighting's state after a look at the losses after the step."""
    assert turn.weighting is not None and turn.weighting.observe is not None
    if turn.rows.every == 1:
        return turn.weighting.observe(losses, state)
    return {**state, "of": turn.weighting.observe(losses, state["of"])}


def weights_of(turn: Turn, losses: Array, gramian: Array | None, state: PyTree, context: Context):
    """Weights by objective from losses and Gramian, and the new state."""
    assert isinstance(turn.weighting, Weighting)
    found = turn.weighting.update(_key(context), losses, gramian, _inner(turn, state))
    weights, state = _kept(turn, state, *found)
    return dict(zip(table.weighted(turn), weights, strict=True)), state


def _inner(turn: Turn, state: PyTree) -> PyTree:
    """The weighting's own state."""
    return state if turn.rows.every == 1 else state["of"]


def _kept(turn: Turn, state: PyTree, weights: Array, inner: PyTree) -> tuple[Array, PyTree]:
    """New weights and the state with them, in the type in which they are used again."""
    if turn.rows.every == 1:
        return weights, inner
    weights = weights.astype(state["weights"].dtype)
    return weights, {"of": inner, "weights": weights}


def _key(context: Context) -> Key:
    return context.fold("weighting").key


def aggregate(turn: Turn, due, batches, losses, state: PyTree, context: Context):
    """Puts per-objective gradients together: the aggregator over the shared groups, the rest added.

    Args:
        due: the objectives that are played.
        batches: rows (`{objective: {group: tree}}`) of every independent batch, mostly of one.
        losses: scalars by objective, of every independent batch.

    Returns:
        Gradients by group, weights by objective, the weighting's new state.
    """
    names = table.weighted(turn)
    assert turn.weighting is not None
    aggregator = _aggregator(turn.weighting)
    shared = table.shared_groups(turn)
    stacked = [_stacked(names, shared, gradients) for gradients in batches]
    vectors = [jnp.stack([one[name] for name in names]) for one in losses]
    given, vector = stacked[0], vectors[0]
    if len(batches) > 1:
        given, vector = jax.tree.map(lambda *x: jnp.stack(x), *stacked), jnp.stack(vectors)
    inner = _inner(turn, state)
    direction, weights, inner = aggregator.update(_key(context), vector, given, inner)
    weights, state = _kept(turn, state, weights, inner)
    grads = dict(direction)
    for name in due:
        for group, gradient in added([one[name] for one in batches], len(batches)).items():
            if name in names and group in shared:
                continue
            if name in names and aggregator.scales_private:
                weight = weights[names.index(name)]
                gradient = jax.tree.map(lambda g, w=weight: g * w.astype(g.dtype), gradient)
            grads[group] = _add(grads.get(group), gradient)
    return grads, dict(zip(names, weights, strict=True)), state


def _stacked(names, shared, gradients) -> dict[str, PyTree]:
    """By shared group, the rows of the weighted objectives with a leading axis [T]."""

    def zeros(group):
        of = next(row[group] for row in gradients.values() if group in row)
        return jax.tree.map(jnp.zeros_like, of)

    return {
        group: jax.tree.map(
            lambda *leaves: jnp.stack(leaves),
            *[gradients[n][group] if group in gradients[n] else zeros(group) for n in names],
        )
        for group in shared
    }


def added(trees: list[PyTree], means: int = 1) -> PyTree:
    """The sum of trees; over `means` independent batches their mean."""
    total = functools.reduce(functools.partial(jax.tree.map, jnp.add), trees)
    return total if means == 1 else jax.tree.map(lambda x: x / means, total)
