"""Checks of a game, by name and before anything runs: table, groups, batch, dead objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gan_mtl import table
from gan_mtl.gradients import take_slice
from gan_mtl.types import (
    BATCH_STATISTIC,
    EXACT,
    Aggregator,
    Array,
    Batch,
    Context,
    Game,
    Key,
    TrainState,
    Variables,
    Weighting,
    group_of,
    starting,
)

Norms = dict[str, dict[str, dict[str, Array]]]


def slices(game: Game) -> int:
    """How many slices a batch holds: the largest number of repeats of a turn."""
    return max(turn.repeats for turn in game.turns)


def examples(batch: Batch) -> int:
    """The number of examples in a batch: the longest first axis of its leaves."""
    return max(x.shape[0] for x in batch.values())


def check_table(game: Game) -> None:
    """Raises ValueError for a table that cannot be played, whatever the networks."""
    if not game.turns:
        raise ValueError("The game has no turns: give it at least one Turn.")
    names = [turn.name for turn in game.turns]
    if len(set(names)) < len(names):
        raise ValueError(f"Turns need distinct names, got {names}.")
    for turn in game.turns:
        if not turn.objectives:
            raise ValueError(f"Turn {turn.name!r} has no objectives: give it at least one row.")
        for field, value in (("repeats", turn.repeats), ("every", turn.every)):
            if value < 1:
                raise ValueError(f"Turn {turn.name!r}: {field} must be at least 1, got {value}.")
        for name, row in turn.objectives.items():
            if not row.entries:
                raise ValueError(
                    f"Objective {turn.name}/{name} claims no group: give it an entry in the table."
                )
            if row.every < 1:
                raise ValueError(f"Objective {turn.name}/{name}: every must be at least 1.")
        _check_weighting(turn)
        _check_rows(turn)
        for group in table.moved_groups(turn):
            if all(turn.objectives[name].every > 1 for name in table.movers(turn, group)):
                raise ValueError(
                    f"Only lazy rows of turn {turn.name!r} move {group!r}, but its optimizer steps "
                    "at every step: make them a turn of their own with `every`."
                )
        if isinstance(turn.optimizer, Mapping):
            missing = [g for g in table.moved_groups(turn) if g not in turn.optimizer]
            if missing:
                raise ValueError(f"Turn {turn.name!r} has no optimizer for the groups {missing}.")
    for group, half_life in game.ema.items():
        if not half_life > 0:
            raise ValueError(f"EMA half-life of group {group!r} must be positive, got {half_life}.")


def _check_weighting(turn) -> None:
    weighting = turn.weighting
    if weighting is None:
        return
    needs_rows = isinstance(weighting, Aggregator) or weighting.needs_gramian
    if needs_rows and not table.shared_groups(turn):
        raise ValueError(
            f"Turn {turn.name!r} has an aggregator, but no group is moved by two of its "
            "objectives: drop it, or let two rows share a group."
        )
    if isinstance(weighting, Weighting) and not table.weighted(turn):
        raise ValueError(
            f"Turn {turn.name!r} has a loss weighting, but all its objectives are ascended or lazy."
        )
    signed = [name for name in table.weighted(turn) if turn.objectives[name].signed]
    if weighting.positive and signed:
        raise ValueError(
            f"The weighting {_factory(weighting)!r} of turn {turn.name!r} needs positive losses, "
            f"but its objectives {signed} are signed: they may be negative, or have no minimum to "
            "go to. Use a weighting that looks at gradients only (mgda, nash, upgrad) or takes "
            "losses of any sign (equal, fixed, rlw, hypervolume, gman)."
        )


def _check_rows(turn) -> None:
    weighting, rows = turn.weighting, turn.rows
    if rows.every < 1 or rows.of not in ("parameters", "features"):
        raise ValueError(
            f"Turn {turn.name!r}: {rows} is not understood; every is at least 1, of is "
            "'parameters' or 'features'."
        )
    if rows == EXACT:
        return
    if weighting is None:
        raise ValueError(f"Turn {turn.name!r} has {rows} but no weighting: give it one.")
    if isinstance(weighting, Aggregator) and (rows.every > 1 or rows.of == "features"):
        raise ValueError(
            f"Turn {turn.name!r}: {_factory(weighting)!r} needs the rows themselves at every step; "
            "kept weights and rows of features are for weightings."
        )
    if rows.of == "features":
        shared = table.shared_groups(turn)
        for name in table.weighted(turn):
            row = turn.objectives[name]
            found = {c for e, c in row.entries.items() if group_of(e) in shared}
            if len(found) > 1:
                raise ValueError(
                    f"Objective {turn.name}/{name} has several coefficients {found} on shared "
                    "groups; rows of features stand for all of them: use rows of parameters."
                )


def _factory(weighting: Weighting | Aggregator) -> str:
    """The name of the function that made a weighting, from the functions that it holds."""
    init = weighting.init
    return getattr(init, "__qualname__", repr(init)).split(".")[0]


def check_groups(game: Game, groups: Mapping[str, Any]) -> None:
    """Raises ValueError if table and groups do not agree."""
    known = sorted(groups)
    trained: set[str] = set()
    for turn in game.turns:
        for name, row in turn.objectives.items():
            for entry in row.entries:
                if group_of(entry) not in groups:
                    raise ValueError(
                        f"Objective {turn.name}/{name} moves {entry!r}, which is no group of the "
                        f"game; its groups are {known}."
                    )
        trained |= set(table.moved_groups(turn))
    idle = sorted(g for g in set(groups) - trained - set(game.frozen) if _has_params(groups[g]))
    if idle:
        raise ValueError(
            f"Nothing trains the groups {idle}: give them an entry in the table, or list them in "
            "the game's `frozen`."
        )
    for group in game.ema:
        if group not in groups:
            raise ValueError(f"EMA of {group!r}, which is no group of the game; groups: {known}.")


def _has_params(group: Mapping[str, Any]) -> bool:
    return bool(jax.tree.leaves(group["params"]))


def check_outcomes(game: Game, groups: Mapping[str, Any], batch: Batch, key: Key) -> None:
    """Raises ValueError if a turn's function does not return what its table says."""
    variables = starting(groups)
    for turn in game.turns:
        context = Context(key, jnp.zeros((), jnp.int32))
        out = jax.eval_shape(lambda b, t=turn, c=context: t.losses(variables, b, c), batch)
        missing = [name for name in turn.objectives if name not in out.losses]
        if missing:
            raise ValueError(
                f"Turn {turn.name!r} does not return the objectives {missing}; "
                f"it returns {sorted(out.losses)}."
            )
        if both := sorted(set(out.losses) & set(out.metrics)):
            raise ValueError(f"Turn {turn.name!r} uses {both} as losses and as metrics.")
        for name, loss in {**out.losses, **out.metrics}.items():
            if loss.values.ndim > 1:
                raise ValueError(
                    f"{turn.name}/{name} has shape {loss.values.shape}; a loss is one value per "
                    "example, shape [n], or a batch statistic, shape []. Squeeze or reduce it."
                )
            if loss.mask is not None and loss.mask.shape != loss.values.shape:
                raise ValueError(
                    f"{turn.name}/{name}: mask of shape {loss.mask.shape} for values of shape "
                    f"{loss.values.shape}; they must be equal."
                )


def check_batch(game: Game, batch: Batch, accumulate: int = 1) -> None:
    """Raises ValueError if a leaf of the batch does not divide into the game's slices."""
    batches = max(table.num_batches(turn) for turn in game.turns)
    if accumulate > 1 and (batches > 1 or any(t.rows.of == "features" for t in game.turns)):
        raise ValueError(
            f"accumulate={accumulate} goes neither with rows of features nor with an aggregator "
            "that takes several batches: use accumulate=1."
        )
    parts = slices(game) * accumulate * batches
    for name, x in batch.items():
        if x.ndim == 0 or x.shape[0] == 0 or x.shape[0] % parts:
            raise ValueError(
                f"Batch entry {name!r} has shape {x.shape}; its first axis must be a multiple of "
                f"{parts} (repeats {slices(game)} times accumulate {accumulate} times the batches "
                f"of an aggregator, {batches}), per device."
            )


def check_accumulation(game: Game, state: TrainState, batch: Batch, accumulate: int) -> None:
    """Raises ValueError if accumulation would change a batch statistic.

    Seen are BatchNorm (by its collection), objectives that are scalars, and what is marked as a
    batch statistic inside a value per example: `losses.relativistic_average` (and every
    adversarial pair that says so), `losses.dragan`, `nets.minibatch_stddev`. A scalar that neither
    examples nor draws enter (a penalty on parameters) is the same in every slice, and passes.
    """
    if accumulate == 1:
        return
    normed = sorted(group for group, s in state.state.items() if "batch_stats" in s)
    if normed:
        raise ValueError(
            f"Gradient accumulation would change the batch statistics (BatchNorm) of {normed}: use "
            "accumulate=1 or another normalisation."
        )
    variables = Variables(state.params, state.state)
    slice_ = (dict(batch), jax.random.key(0), jnp.zeros((), int))  # examples, draws, numbers
    for turn in game.turns:

        def losses(slice_, variables, turn=turn):
            part, key, offset = slice_
            found = turn.losses(variables, part, Context(key, state.step, offset=offset)).losses
            return {name: found[name].values for name in turn.objectives}

        jaxpr, shapes = jax.make_jaxpr(losses, return_shape=True)(slice_, variables)
        program, inputs = jaxpr.jaxpr, len(jax.tree.leaves(slice_))
        outputs = dict(zip(sorted(shapes), program.outvars, strict=True))
        marked = {
            eqn.params["name"].removeprefix(BATCH_STATISTIC)
            for eqn in _equations(program)
            if eqn.primitive.name == "name" and eqn.params["name"].startswith(BATCH_STATISTIC)
        }
        scalars = {name for name, x in shapes.items() if x.ndim == 0}
        sliced = {n for n in scalars if _reaches(program, program.invars[:inputs], outputs[n])}
        bad = sorted(marked | sliced)
        if bad:
            raise ValueError(
                f"Gradient accumulation would change the batch statistics {bad} of turn "
                f"{turn.name!r}, taken over a slice instead of the batch: use accumulate=1, or "
                "leave them out."
            )


def raw_gradient_norms(game: Game) -> Callable[[Key, Batch], Norms]:
    """A pure function: the gradient norm of every objective in every entry it claims.

    Before coefficients, all masks on, at a fresh initialisation:
    `{turn: {objective: {entry: norm}}}`, to be judged by `check_alive`. A penalty may start at its
    minimum (a distance from the start): it is judged a little away from there.
    """

    def norms(key: Key, batch: Batch) -> Norms:
        key_init, key_pass = jax.random.split(key)
        first = take_slice(batch, 0, slices(game))
        groups = game.init(key_init, first)
        params, state = starting(groups)
        found: Norms = {}
        for number, turn in enumerate(game.turns):
            context = Context(jax.random.fold_in(key_pass, number), jnp.zeros((), jnp.int32))
            moving = {entry: params[group_of(entry)] for entry in table.entries(turn)}

            def totals(moving, turn=turn, context=context):
                variables = Variables({**params, **moving}, state)
                losses = turn.losses(variables, first, context).losses
                return {name: losses[name].values.mean() for name in turn.objectives}

            values, pullback = jax.vjp(totals, moving)
            aside = pullback
            if any(row.penalty for row in turn.objectives.values()):
                _, aside = jax.vjp(totals, _step_aside(context.key, moving))
            found[turn.name] = {}
            for name, row in turn.objectives.items():
                one_hot = {n: jnp.asarray(float(n == name), v.dtype) for n, v in values.items()}
                (grads,) = (aside if row.penalty else pullback)(one_hot)
                found[turn.name][name] = {e: optax.tree.norm(grads[e]) for e in row.entries}
        return found

    return norms


def _step_aside(key: Key, params: Any) -> Any:
    """The parameters with a little noise on each of them."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noise = [
        1e-2 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, [x + e for x, e in zip(leaves, noise, strict=True)])


def check_alive(norms: Sequence[Norms]) -> None:
    """Raises ValueError for an entry whose gradient was zero in every initialisation.

    Args:
        norms: what `raw_gradient_norms` gave for several keys.
    """
    dead = [
        (f"{turn}/{objective}", entry)
        for turn, rows in norms[0].items()
        for objective, row in rows.items()
        for entry in row
        if all(float(found[turn][objective][entry]) == 0.0 for found in norms)
    ]
    if dead:
        listed = ", ".join(f"{objective} in {entry!r}" for objective, entry in dead)
        raise ValueError(
            f"Dead entries of the table: {listed}: the gradient was zero in {len(norms)} random "
            "initialisations. Remove the entry, or see that the loss depends on the group."
        )


def largest_convolution(function: Callable[..., Any], *args: Any) -> int:
    """The largest input side, in pixels, of the convolutions in a function; 0 without any."""

    sides = (
        eqn.invars[0].aval.shape[axis]
        for eqn in _equations(jax.make_jaxpr(function)(*args).jaxpr)
        if eqn.primitive.name == "conv_general_dilated"
        for axis in eqn.params["dimension_numbers"].lhs_spec[2:]
    )
    return max(sides, default=0)


def _reaches(jaxpr: Any, inputs: Sequence[Any], output: Any) -> bool:
    """Whether an output of a program depends on any of these inputs; an equation is one whole."""
    needed = {id(output)}
    for eqn in reversed(jaxpr.eqns):
        if any(id(x) in needed for x in eqn.outvars):
            needed |= {id(x) for x in eqn.invars}
    return any(id(x) in needed for x in inputs)


def _equations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a program and of all programs inside it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(
            list(eqn.params.values()),
            is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr"),
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
