"""What an architecture is: from images to one representation per task, and who shares what."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl.types import (
    Array,
    Context,
    Key,
    Loss,
    Network,
    Objective,
    PyTree,
    Variables,
    starting,
)

Tasks = tuple[str, ...]


class Represented(NamedTuple):
    """What a pass gives: features by task, and the losses of the architecture's own objectives.

    A task's features are an array, or the maps of a pyramid.
    """

    features: dict[str, Any]
    losses: Mapping[str, Loss] = {}


Forward = Callable[[Variables, Array, Tasks, Context], tuple[Represented, Variables]]


class Architecture(NamedTuple):
    """A pair of pure functions, and what they say to the table.

    tasks: the names of the tasks; each has a head on the features that it is given.
    init: `(key, images) -> {group: {"params": ..., other collections}}`
    apply: `(variables, images, tasks, context) -> (Represented, variables)`: the features of some
        of the tasks, those that look at these images. What only others need is not computed.
    groups: `(task) -> groups` that the task's features depend on, its objective's entries beside
        its head. A group of one task alone is private: no weighting sees conflicts in it.
    objectives: penalties of its own; the losses of a task's pass, or of every pass, hold them.
    frozen: groups that nothing trains, on purpose.
    predict: what else it can be asked, by name, `(variables, images, context) -> outputs`.
    common: whether all tasks get the same features, so that `Rows("features")` means something.
    """

    tasks: Tasks
    init: Callable[[Key, Array], dict[str, dict[str, PyTree]]]
    apply: Forward
    groups: Callable[[str], tuple[str, ...]]
    objectives: Mapping[str, Objective] = {}
    frozen: tuple[str, ...] = ()
    common: bool = False
    predict: Mapping[str, Callable[..., Any]] = {}


def from_forward(
    tasks: Tasks,
    forward: Forward,
    groups: Callable[[str], tuple[str, ...]],
    objectives: Mapping[str, Objective] | None = None,
) -> Architecture:
    """An architecture whose `init` follows from its forward pass.

    Args:
        forward: what `apply` does; runs every network through `run`, and nothing else of its
            variables is looked at before it was run.

    Raises:
        ValueError: for no tasks, or two of one name.
    """
    if not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(f"An architecture needs distinct task names, at least one; got {tasks}.")

    def init(key: Key, images: Array) -> dict[str, dict[str, PyTree]]:
        context = Context(jax.random.fold_in(key, 0), jnp.zeros((), jnp.int32))
        forming: Any = _Forming(key, {})  # stands for variables, in `run` and in `of`
        formed: Any = forward(forming, images, tasks, context)[1]
        return formed.groups

    return Architecture(tasks, init, forward, groups, objectives or {})


class _Forming(NamedTuple):
    """Variables in the making: a group is initialised by the first inputs that it meets."""

    key: Key
    groups: dict[str, dict[str, PyTree]]

    def apply(
        self, network: Network, entry: str, *inputs: Any, context: Context
    ) -> tuple[Any, _Forming]:
        made = self
        if entry not in self.groups:
            key = jax.random.fold_in(self.key, zlib.crc32(entry.encode()))
            made = self._replace(groups={**self.groups, entry: network.init(key, *inputs)})
        return network.apply(made.groups[entry], *inputs, context=context)[0], made

    def of(self, entry: str) -> dict[str, PyTree]:
        return starting(self.groups).of(entry)


def run(
    variables: Variables, network: Network, group: str, *inputs: Any, context: Context
) -> tuple[Any, Variables]:
    """A network on its inputs, with the group's own random draws."""
    return variables.apply(network, group, *inputs, context=context.fold(group))


def run_all(
    variables: Variables,
    networks: tuple[Network, ...],
    group: str,
    inputs: Array,
    context: Context,
) -> tuple[tuple[Array, ...], Variables]:
    """Several networks on one input: number i has the group `<group>/<i>`."""
    outputs = []
    for name, network in zip(numbered(group, networks), networks, strict=True):
        output, variables = run(variables, network, name, inputs, context=context)
        outputs.append(output)
    return tuple(outputs), variables


def run_gates(
    variables: Variables,
    experts: tuple[Network, ...],
    gate: Network,
    images: Array,
    wanted: Tasks,
    context: Context,
) -> tuple[dict[str, Any], Variables]:
    """Experts for all tasks (groups `experts/<i>`), and what each task's gate makes of them."""
    outputs, variables = run_all(variables, experts, "experts", images, context)
    found = {}
    for t in wanted:
        found[t], variables = run(variables, gate, f"gate/{t}", images, outputs, context=context)
    return found, variables


def numbered(group: str, networks: tuple[Any, ...]) -> tuple[str, ...]:
    """`<group>/0`, `<group>/1`, ..."""
    return tuple(f"{group}/{i}" for i in range(len(networks)))
