"""Two domains side by side: labelled source examples, unlabelled target examples.

What the games of domain adaptation have in common. No game here reads the target's labels: a task
that asks for them is refused, and what a batch holds beside the entries named here changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.tasks import Task
from gan_mtl.types import (
    Batch,
    Coefficient,
    Context,
    Loss,
    Network,
    Objective,
    PyTree,
    Schedule,
    Variables,
    batch_statistic,
    starting,
)

Pair = tuple[Array, Array]  # of the source, of the target


class Domains(NamedTuple):
    """The two sources of a joined data set, and how networks run over both.

    source, target: their names: the batch has `images/<source>`, `labels/<source>` and
        `images/<target>`, as `data.joined_stream` makes them.
    passes: "separate": every network in training runs over the source, then over the target, each
        normalised by its own batch statistics, both entering the running averages; "joint": once
        over both together, which takes as many of either. Where nothing normalises over the batch
        the two agree. Which of them a port has moves published results by many points.
    """

    source: str = "source"
    target: str = "target"
    passes: Literal["separate", "joint"] = "separate"

    @property
    def images(self) -> tuple[str, str]:
        """The batch entries with the images of both."""
        return f"images/{self.source}", f"images/{self.target}"

    @property
    def labels(self) -> tuple[str, str]:
        """The batch entries with the labels; training never reads the second."""
        return f"labels/{self.source}", f"labels/{self.target}"


def source_task(head: Network, domains: Domains, *, name: str = "class", **options: Any) -> Task:
    """Classification of the source's examples."""
    return Task(name, head, source=domains.images[0], targets=domains.labels[0], **options)


def over_both(
    network: Network,
    entries: str | tuple[str, str],
    inputs: Pair,
    domains: Domains,
    variables: Variables,
    context: Context,
) -> tuple[Pair, Variables]:
    """A network's outputs for either domain, in the passes that the domains ask for.

    Args:
        entries: of the variables; a pair runs each domain with its own, always separately.
    """
    if domains.passes == "joint" and isinstance(entries, str):
        outputs, variables = variables.apply(network, entries, _woven(*inputs), context=context)
        return (outputs[0::2], outputs[1::2]), variables
    pair = (entries, entries) if isinstance(entries, str) else entries
    found = []
    for entry, x, domain in zip(pair, inputs, ("source", "target"), strict=True):
        y, variables = variables.apply(network, entry, x, context=context.fold(domain))
        found.append(y)
    return (found[0], found[1]), variables


def _woven(source: Array, target: Array) -> Array:
    """Examples in turn, so that a device's part of both is a part of the whole."""
    return jnp.stack([source, target], axis=1).reshape(-1, *source.shape[1:])


def both(
    source: Float[Array, " n"],
    target: Float[Array, " m"],
    context: Context,
    weights: Pair | None = None,
) -> Loss:
    """One loss over both domains: the source's mean plus the target's.

    Args:
        source, target: one value per example.
        weights: positive, of every example within its domain; None is equal ones.
    """
    if weights is None:
        shares = [jnp.full_like(x, 1 / x.shape[0]) for x in (source, target)]
    else:
        shares = [w / _total(w, context.axis_name) for w in weights]
    return Loss(2 * jnp.concatenate([source, target]), jnp.concatenate(shares))


def _total(weights: Float[Array, " n"], axis_name: str | None) -> Array:
    total = batch_statistic("domain_weights", weights.sum())
    return total if axis_name is None else jax.lax.psum(total, axis_name)


class Tasks(NamedTuple):
    """What a pass of the tasks gives.

    hidden: the trunk's features of both domains; outputs: what every task's head said.
    """

    losses: dict[str, Loss]
    metrics: dict[str, Loss]
    outputs: dict[str, Array]
    hidden: Pair


def play_tasks(
    trunk: Network,
    tasks: Sequence[Task],
    domains: Domains,
    variables: Variables,
    batch: Batch,
    context: Context,
) -> tuple[Tasks, Variables]:
    """The trunk over both domains, then every task's head on its own examples."""
    images = (batch[domains.images[0]], batch[domains.images[1]])
    tag = context.fold("trunk")
    hidden, variables = over_both(trunk, "trunk", images, domains, variables, tag)
    known = dict(zip(domains.images, hidden, strict=True))
    return heads_on(trunk, tasks, known, hidden, variables, batch, context)


def heads_on(
    trunk: Network,
    tasks: Sequence[Task],
    known: dict[str, Array],
    hidden: Pair,
    variables: Variables,
    batch: Batch,
    context: Context,
) -> tuple[Tasks, Variables]:
    """Every task's head, on features by batch entry; the trunk runs over what is changed."""
    features = functools.partial(_features, trunk)
    found = Tasks({}, {}, {}, hidden)
    for task in tasks:
        played, variables = tasks_lib.play(task, features, known, variables, batch, context)
        found.losses[task.name] = played.loss
        assert played.outputs is not None  # `play`
        found.outputs[task.name] = played.outputs
        if played.accuracy is not None:
            found.metrics[f"{task.name}_accuracy"] = played.accuracy
    return found, variables


def one_of(
    trunk: Network,
    which: Literal[0, 1],
    domains: Domains,
    variables: Variables,
    batch: Batch,
    context: Context,
) -> tuple[Array, Variables]:
    """The trunk's features of the source (0) or of the target (1), in a turn without the other.

    A joint pass runs over both all the same.
    """
    tag = context.fold("trunk")
    if domains.passes == "joint":
        images = (batch[domains.images[0]], batch[domains.images[1]])
        pair, variables = over_both(trunk, "trunk", images, domains, variables, tag)
        return pair[which], variables
    tag = tag.fold(("source", "target")[which])
    return variables.apply(trunk, "trunk", batch[domains.images[which]], context=tag)


def told_apart(source: Float[Array, " n"], target: Float[Array, " m"], context: Context) -> Loss:
    """The accuracy of logits of "source", each domain counting one half."""
    right = [(x > 0).astype(x.dtype) / 2 for x in (source, -target)]
    return both(right[0], right[1], context)


def _features(trunk: Network, variables: Variables, images: Array, context: Context):
    return variables.apply(trunk, "trunk", images, context=context)


def on_target(
    task: Task, hidden: Array, variables: Variables, context: Context
) -> tuple[Array, Variables]:
    """What a task's head says of the target's features."""
    tag = context.fold(task.name).fold("target")
    return variables.apply(task.head, task.group, hidden, context=tag)


def init_tasks(
    trunk: Network,
    tasks: Sequence[Task],
    domains: Domains,
    key: jax.Array,
    batch: Batch,
    *others: str,
) -> tuple[dict[str, dict[str, Any]], Array]:
    """The groups of trunk and heads, and features of the source for whoever looks at them.

    Args:
        others: names of further objectives.

    Raises:
        ValueError: for a batch without the domains, or tasks that cannot be played.
    """
    check_batch(domains, batch)
    tasks_lib.check_tasks(tuple(tasks), batch, *others)
    key_trunk, key_heads, key_pass = jax.random.split(key, 3)
    images = batch[domains.images[0]]
    groups = {"trunk": trunk.init(key_trunk, images)}
    context = Context(key_pass, jnp.zeros((), jnp.int32))
    hidden, _ = starting(groups).apply(trunk, "trunk", images, context=context)
    return {**groups, **tasks_lib.init_heads(tuple(tasks), key_heads, hidden)}, hidden


def started(
    who: str, name: str, given: Mapping[str, PyTree], fresh: dict[str, PyTree]
) -> dict[str, PyTree]:
    """A group as the first phase of a game trained it, in the dtypes of a fresh one.

    Raises:
        ValueError: for other shapes.
    """
    wanted, found = (jax.tree.map(jnp.shape, dict(tree)) for tree in (fresh, given))
    if wanted != found:
        raise ValueError(
            f"{who}: group {name!r} has the shapes {wanted}, but the first phase's are {found}."
        )
    return jax.tree.map(lambda x, y: jnp.asarray(x, y.dtype), dict(given), fresh)


def task_rows(tasks: Sequence[Task]) -> dict[str, Objective]:
    """The tasks' rows: trunk and head."""
    return {t.name: Objective({"trunk": t.weight, t.group: t.weight}) for t in tasks}


def predictions(trunk: Network, tasks: Sequence[Task]) -> dict[str, Any]:
    """`predict` of a game with these tasks: `features`, and every head by name."""
    return tasks_lib.predictions(tuple(tasks), functools.partial(_features, trunk))


def ascended(weight: Coefficient) -> Coefficient:
    """The coefficient with the other sign; raises ValueError for one that has it already."""
    if (weight.sign if isinstance(weight, Schedule) else weight) < 0:
        raise ValueError(
            f"weight={weight}: give the strength of the reversal, at least 0; the table gets its "
            "negative."
        )
    return weight._replace(sign=-1) if isinstance(weight, Schedule) else 0.0 - weight


def check_domains(domains: Domains, tasks: Sequence[Task]) -> None:
    """Raises ValueError for domains that are none, and a task that reads the target's labels."""
    if domains.source == domains.target:
        raise ValueError(f"Domains: source and target are both {domains.source!r}: name two.")
    if domains.passes not in ("separate", "joint"):
        raise ValueError(f"Domains: passes={domains.passes!r} is not 'separate' or 'joint'.")
    for task in tasks:
        if task.targets == domains.labels[1]:
            raise ValueError(
                f"Task {task.name!r} reads {task.targets!r}, but the target's labels are hidden in "
                "domain adaptation: give games.source_task(head, domains), or a task that makes "
                "its targets. (A run on the target's labels is multitask() on the target alone.)"
            )


def conditioning(tasks: Sequence[Task], name: str) -> Task:
    """The task whose class logits a game looks at; raises ValueError where there is none."""
    found = [task for task in tasks if task.name == name]
    if not found:
        raise ValueError(
            f"classes={name!r} is not among the tasks {[task.name for task in tasks]}: name the "
            "one whose class probabilities are meant."
        )
    if tasks_lib.changes(found[0]) or found[0].asks is not None:
        raise ValueError(
            f"Task {name!r} says the classes of examples as they are, so it needs a head of its "
            "own and no augment or transform."
        )
    return found[0]


def check_batch(domains: Domains, batch: Batch, *, paired: bool = False) -> None:
    """Raises ValueError for a batch without both domains, or unequal numbers where it matters.

    Args:
        paired: whether the game takes source and target examples in pairs.
    """
    for entry in domains.images:
        if entry not in batch:
            raise ValueError(
                f"Domain adaptation needs the batch entry {entry!r}; the batch has "
                f"{sorted(batch)}. Join the two data sets with data.joined, and name them in "
                "Domains(source, target)."
            )
    shapes = [batch[entry].shape for entry in domains.images]
    if shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"Images of {domains.source!r} and {domains.target!r} have the shapes {shapes[0][1:]} "
            f"and {shapes[1][1:]}: resize them to one."
        )
    if shapes[0] != shapes[1] and (paired or domains.passes == "joint"):
        why = "examples in pairs" if paired else "a joint pass"
        raise ValueError(
            f"{why} needs as many examples of both domains, got {shapes[0][0]} of "
            f"{domains.source!r} and {shapes[1][0]} of {domains.target!r}."
        )
