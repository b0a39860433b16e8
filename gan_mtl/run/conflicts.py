"""How the objectives of a run get on: conflicts of their gradients over time, and what follows.

A line of relations.jsonl holds for every turn with two or more objectives on a shared group, by
pair: the cosine and the similarity in magnitude of their gradients; the affinities (what a step on
one does to the loss of the other) where no loss is adversarial; and the correlation of their heads
where these have the same shape.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from gan_mtl import metrics, relations, table
from gan_mtl.metrics.relations import MAX_TASKS, Grouping
from gan_mtl.run.writers import read_jsonl
from gan_mtl.types import Batch, Game, Key, Objective, TrainState, Turn

FILE = "relations.jsonl"
LOOKAHEAD = 0.01  # length of the plain gradient step whose effect is the affinity
PAIR = {"cosine": "~", "magnitude": "~", "correlation": "~", "affinity": ">"}
CONFIDENCE = 0.95
LOOKS = 4  # the least number that a verdict is given for

Look = Callable[[Key, TrainState, Batch], dict[str, jax.Array]]


def looker(game: Game) -> Look | None:
    """The function that sees the relations of a state, to be compiled; None if there are none.

    Returns:
        `(key, state, batch) -> {"turn/cosine/a~b": ..., "turn/affinity/a>b": ...}`.
    """
    related = relations.related(game)
    if not related:
        return None
    _check_names(related)
    gramians = relations.gramians(game)
    turns = {turn.name: turn for turn in game.turns if turn.name in related}
    ahead = {
        name: relations.lookahead_losses(game, name, LOOKAHEAD)
        for name, turn in turns.items()
        if not any(_unbounded(turn.objectives[o]) for o in related[name])
    }

    def look(key: Key, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        found: dict[str, jax.Array] = {}
        for name, gramian in gramians(key, state, batch).items():
            matrices = {
                "cosine": metrics.cosines(gramian),
                "magnitude": metrics.magnitude_similarity(gramian),
            }
            if name in ahead:
                matrices["affinity"] = metrics.affinities(*ahead[name](key, state, batch))
            heads = _heads(turns[name], related[name], state)
            if heads is not None:
                matrices["correlation"] = _correlation(metrics.task_covariance(heads))
            for kind, matrix in matrices.items():
                for i, j, pair in _pairs(related[name], kind):
                    found[f"{name}/{kind}/{pair}"] = matrix[i, j]
        return found

    return look


def _unbounded(row: Objective) -> bool:
    """Whether a smaller loss is not simply better: adversarial rows, and ascended ones."""
    return row.signed or table.ascends(row)


def _check_names(related: Mapping[str, Sequence[str]]) -> None:
    bad = [name for names in related.values() for name in names if set(name) & set("~>")]
    if bad:
        raise ValueError(
            f"The objectives {bad} have a ~ or > in their names, by which relations.jsonl tells "
            "pairs apart: rename them, or look at no relations (relations_every=0)."
        )


def _pairs(names: Sequence[str], kind: str) -> Iterator[tuple[int, int, str]]:
    """Places and name of every pair: in both orders where the kind tells them apart."""
    sign = PAIR[kind]
    pairs = itertools.permutations if sign == ">" else itertools.combinations
    for i, j in pairs(range(len(names)), 2):
        yield i, j, f"{names[i]}{sign}{names[j]}"


def _heads(turn: Turn, names: Sequence[str], state: TrainState) -> jax.Array | None:
    """The heads' parameters as columns [d, T]; None unless every objective has one, all alike."""
    columns = []
    for name in names:
        own = [
            group
            for group in table.moved_groups(turn)
            if [n for n in table.movers(turn, group) if not turn.objectives[n].penalty] == [name]
        ]
        if len(own) != 1:
            return None
        columns.append(state.params[own[0]])
    shapes = [jax.tree.map(jnp.shape, tree) for tree in columns]
    if any(shape != shapes[0] for shape in shapes) or not jax.tree.leaves(columns[0]):
        return None
    flat = [jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)]) for tree in columns]
    return jnp.stack(flat, axis=1)


def _correlation(covariance: jax.Array) -> jax.Array:
    scale = jnp.sqrt(jnp.diagonal(covariance))
    return covariance / jnp.maximum(scale[:, None] * scale[None, :], jnp.finfo(scale.dtype).tiny)


class History(NamedTuple):
    """The matrices of one turn over a run.

    objectives: names, in order; matrices: by kind, [steps, T, T], with 1 (affinity: 0) on the
        diagonal.
    """

    objectives: tuple[str, ...]
    matrices: dict[str, Float[np.ndarray, "steps tasks tasks"]]


def read(folder: pathlib.Path) -> dict[str, History]:
    """By turn, what a run's relations.jsonl holds; empty where there is none."""
    return history(read_jsonl(folder / FILE))


def history(rows: Sequence[Mapping[str, Any]]) -> dict[str, History]:
    """By turn, the matrices of the lines of a relations.jsonl."""
    names: dict[str, dict[str, None]] = {}
    for key in dict.fromkeys(k for row in rows for k in row if k.count("/") >= 2):
        turn, kind, pair = key.split("/", 2)
        names.setdefault(turn, {}).update(dict.fromkeys(pair.split(PAIR[kind])))
    return {turn: _history(rows, turn, tuple(found)) for turn, found in names.items()}


def _history(rows: Sequence[Mapping[str, Any]], turn: str, names: tuple[str, ...]) -> History:
    matrices = {}
    for kind, sign in PAIR.items():
        whole = np.full((len(rows), len(names), len(names)), 0.0 if kind == "affinity" else 1.0)
        known = False
        for i, j in itertools.permutations(range(len(names)), 2):
            name = f"{turn}/{kind}/{names[i]}{sign}{names[j]}"
            if any(name in row for row in rows):
                known = True
                whole[:, i, j] = [row.get(name, np.nan) for row in rows]
                if sign == "~":
                    whole[:, j, i] = whole[:, i, j]
        if known:
            matrices[kind] = whole
    return History(names, matrices)


class Verdict(NamedTuple):
    """Which tasks to train together, and the sentence that says so.

    affinity: means over the run [T, T]; low: lower ends of their 95 % intervals.
    """

    grouping: Grouping
    text: str
    affinity: Float[np.ndarray, "tasks tasks"]
    low: Float[np.ndarray, "tasks tasks"]


def verdict(found: History) -> Verdict | None:
    """The grouping that the affinities of a run imply; None where there are none to speak of.

    A companion counts for the lower end of the interval of the mean affinity. A task whose
    companions cannot be told from unrelated or conflicting ones is to be trained apart.

    The interval is Student's for n_e = n (1 - r) / (1 + r) independent looks, r the correlation of
    neighbouring ones (0 .. 0.9): looks along one run are alike. It knows nothing of other seeds.

    Reference:
        Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning", NeurIPS
        2021; the interval is ours.
    """
    z = found.matrices.get("affinity")
    if z is None or len(z) < LOOKS or len(found.objectives) > MAX_TASKS or not np.isfinite(z).all():
        return None
    mean = z.mean(axis=0)
    low = mean - _half_width(z)
    best = metrics.best_grouping(low, max_groups=len(found.objectives))
    return Verdict(best, _sentence(best, found.objectives), mean, low)


def mean_of(values: Float[np.ndarray, "n tasks tasks"]) -> Float[np.ndarray, "tasks tasks"]:
    """The mean over the steps that have a value; NaN where none has."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _half_width(z: Float[np.ndarray, "n tasks tasks"]) -> Float[np.ndarray, "tasks tasks"]:
    """Of the interval of the mean of correlated looks."""
    n, off = len(z), z - z.mean(axis=0)
    power = np.square(off).sum(axis=0)
    r = (off[1:] * off[:-1]).sum(axis=0) / np.where(power > 0, power, 1)
    r = np.clip(r + 1 / n, 0, 0.9)  # the estimate is low by about 1 / n
    independent = np.maximum(n * (1 - r) / (1 + r), 2)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, independent - 1)
    return quantile * z.std(axis=0, ddof=1) / np.sqrt(independent)


def summary(folder: pathlib.Path) -> dict[str, Any]:
    """What goes among the final scores: by turn the verdict and every pair's mean cosine."""
    found: dict[str, Any] = {}
    for turn, one in read(folder).items():
        told = verdict(one)
        cosines = np.nanmean(one.matrices["cosine"], axis=0)
        found[turn] = {
            "verdict": None if told is None else told.text,
            "cosine": {
                pair: float(cosines[i, j]) for i, j, pair in _pairs(one.objectives, "cosine")
            },
        }
        if told is not None:
            pairs = _pairs(one.objectives, "affinity")
            found[turn]["affinity"] = {pair: float(told.affinity[i, j]) for i, j, pair in pairs}
    return {"relations": found} if found else {}


def _sentence(grouping: Grouping, names: Sequence[str]) -> str:
    def listed(members: Sequence[int]) -> str:
        return " + ".join(names[i] for i in members)

    if len(grouping.groups) == 1:
        return f"train together: {listed(grouping.groups[0])}"
    if all(len(group) == 1 for group in grouping.groups):
        return f"train apart: {', '.join(names)}"
    served = {
        k: [names[j] for j, group in enumerate(grouping.serves) if group == k]
        for k in range(len(grouping.groups))
    }
    parts = [
        f"{listed(group)} for {', '.join(served[k])}" for k, group in enumerate(grouping.groups)
    ]
    return f"train in {len(parts)} networks: {'; '.join(parts)}"
