"""What everything else speaks: aliases, and the NamedTuples of a game.

A *game* is a table of objectives (rows) by parameter groups (columns), played by turns.
Nothing here computes anything beyond book-keeping; nothing here imports another module of ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.ad_checkpoint import checkpoint_name

Array = jax.Array
Key = jax.Array  # a typed PRNG key, as made by `jax.random.key`
PyTree = Any
Batch = Mapping[str, Any]  # arrays of JAX or NumPy, examples along the first axis


class Schedule(NamedTuple):
    """A coefficient that changes with the step: `sign * value(step)`.

    value: `(step) -> non-negative scalar`; text: how tables print it; sign: 1 descends, -1 ascends.
    """

    value: Callable[[Array], Array]
    text: str
    sign: int = 1


Coefficient = float | Schedule


class Context(NamedTuple):
    """What a pass through a network needs to know beside its inputs.

    `stride` and `offset` say which examples of the global batch a slice holds (repeats, gradient
    accumulation, a prediction in parts), so that random draws belong to an example and not to a
    device or a slice.
    """

    key: Key
    step: Array  # shape=(), dtype=int32
    train: bool = True
    axis_name: str | None = None  # the pmap axis, None under jit
    stride: int = 1
    offset: int | Array = 0

    def fold(self, tag: str | int) -> Context:
        """The same context with another key: one for every separately drawn thing."""
        data = zlib.crc32(tag.encode()) if isinstance(tag, str) else tag
        return self._replace(key=jax.random.fold_in(self.key, data))

    def index(self, n: int) -> Array:
        """Global numbers, shape [n], of the n examples that this slice holds on this device."""
        start = 0 if self.axis_name is None else jax.lax.axis_index(self.axis_name) * n
        return (start + jnp.arange(n)) * self.stride + self.offset


def devices(axis_name: str | None) -> int:
    """The number of devices along the pmap axis; a Python integer, 1 under jit."""
    return 1 if axis_name is None else jax.lax.psum(1, axis_name)


class Network(NamedTuple):
    """A pair of pure functions; `nets.from_linen` makes one from a Flax module.

    init: `(key, *inputs) -> {"params": ..., other collections}`
    apply: `(variables, *inputs, context) -> (outputs, collections)`, where `collections` holds the
        new values of the mutable collections (empty if there are none or `context.train` is False).
    """

    init: Callable[..., dict[str, PyTree]]
    apply: Callable[..., tuple[Any, dict[str, PyTree]]]


class Variables(NamedTuple):
    """All variables of a game during one pass.

    params: one tree per *entry* of the table: `"disc"`, or `"shared@gen"` for a group in a role.
    state: the mutable collections, one dict per *group*; roles of a group share them.
    """

    params: dict[str, PyTree]
    state: dict[str, dict[str, PyTree]]

    def of(self, entry: str) -> dict[str, PyTree]:
        """The variables of a group in a role, as a network takes them."""
        group = group_of(entry)
        params = self.params[entry] if entry in self.params else self.params[group]
        return {"params": params, **_networks_own(self.state.get(group, {}))}

    def apply(
        self, network: Network, entry: str, *inputs: Any, context: Context
    ) -> tuple[Any, Variables]:
        """Runs `network` with the variables of `entry`: its outputs and the variables after it."""
        outputs, collections = network.apply(self.of(entry), *inputs, context=context)
        if not collections:
            return outputs, self
        state = {**self.state, group_of(entry): {**self.state[group_of(entry)], **collections}}
        return outputs, self._replace(state=state)

    def recall(self, group: str, name: str) -> PyTree:
        """What the objective `name` keeps between steps, in the state of a group."""
        return self.state[group][MEMORY + name]

    def remember(self, group: str, name: str, value: PyTree) -> Variables:
        """The variables with another memory; it is written if the turn moves the group."""
        old = self.recall(group, name)
        value = jax.tree.map(lambda x, y: jnp.asarray(y).astype(x.dtype), old, value)
        state = {**self.state, group: {**self.state[group], MEMORY + name: value}}
        return self._replace(state=state)

    def tap(self, features: PyTree) -> PyTree:
        """The shared representation, where gradients with respect to it may be asked for."""
        if TAP not in self.params:
            return features
        return jax.tree.map(jnp.add, features, self.params[TAP])


def _networks_own(collections: Mapping[str, PyTree]) -> dict[str, PyTree]:
    return {name: tree for name, tree in collections.items() if not name.startswith(MEMORY)}


MEMORY = "memory/"  # begins the collections that belong to an objective and not to a network
TAP = "@features"  # the entry of the zeros that `Variables.tap` adds


def starting(groups: Mapping[str, Mapping[str, PyTree]]) -> Variables:
    """The variables of freshly initialised groups, `{group: {"params": ..., ...}}`."""
    params = {name: group["params"] for name, group in groups.items()}
    state = {n: {k: v for k, v in g.items() if k != "params"} for n, g in groups.items()}
    return Variables(params, state)


def group_of(entry: str) -> str:
    """`"shared@gen"` speaks of the group `"shared"` in the role `"gen"`."""
    return entry.split("@", 1)[0]


class Loss(NamedTuple):
    """One objective's value in one pass: per example, or a scalar.

    values: shape [n], or [] for a batch statistic (which takes its moments over devices itself) and
        for a penalty on parameters.
    mask: shape [n], 1 where the example has what the objective needs (a label); None is all ones.
    """

    values: Array
    mask: Array | None = None


class Outcome(NamedTuple):
    """What a turn's function returns: every objective of the turn from one forward pass.

    metrics: further values for people (accuracies, mean logits), reduced as losses are.
    features: the representation [n, ...], or a pyramid of several, that all weighted objectives
        pass through, as it came out of `Variables.tap`; only `Rows("features")` looks at it.
    """

    losses: dict[str, Loss]
    variables: Variables
    metrics: Mapping[str, Loss] = {}
    features: PyTree = None


class Objective(NamedTuple):
    """One row of the table: what an objective does to which groups.

    entries: coefficient by group (or `group@role`): positive descends, negative ascends.
    every: the row is played at every k-th step only, its coefficients times k (a lazy penalty);
        in a turn that is lazy itself times the number of its plays between two of the row.
    signed: whether the loss may be negative, or is bounded by nothing that training moves towards
        (adversarial ones): what needs positive losses refuses it.
    penalty: whether the row is no task but a term that comes with one (a tie between networks): it
        keeps its coefficient under any weighting, and makes no group a shared one.
    """

    entries: Mapping[str, Coefficient]
    every: int = 1
    signed: bool = False
    penalty: bool = False


class Weighting(NamedTuple):
    """Maps losses (and the Gramian of their gradients) to one weight per objective.

    init: `(num_tasks) -> state`
    update: `(key, losses[T], gramian[T, T] | None, state) -> (weights[T], state)`
    needs_gramian: without it one backward pass serves all objectives, and `gramian` is None.
    observe: `(losses_after[T], state) -> state`, for methods that look at the losses after a step
        (one more forward pass on the same batch).
    positive: whether the losses must be positive; refused by name for objectives that are `signed`.
    scales_private: whether groups of a single objective take their gradient times its weight, for
        methods with a Gramian that weigh whole losses; without a Gramian they always do.
    """

    init: Callable[[int], PyTree]
    update: Callable[[Key, Array, Array | None, PyTree], tuple[Array, PyTree]]
    needs_gramian: bool = True
    observe: Callable[[Array, PyTree], PyTree] | None = None
    positive: bool = False
    scales_private: bool = False


class Aggregator(NamedTuple):
    """Maps the rows (one gradient tree per objective) to one direction.

    init: `(num_tasks) -> state`
    update: `(key, losses[T], rows, state) -> (direction, weights[T], state)`, where the leaves of
        `rows` have a leading axis [T], and `direction` is the same tree without it.
    scales_private: whether groups of a single objective take their gradient times its weight.
    positive: as of a `Weighting`.
    num_batches: independent slices of the batch that rows are wanted of; above 1 the leaves of
        `rows` have leading axes [num_batches, T], and `losses` is [num_batches, T].
    keeps_rows: whether the state holds rows; `init` is then `(num_tasks, rows) -> state`, with rows
        as `update` gets them (of a single batch), whose values do not matter.
    """

    init: Callable[..., PyTree]
    update: Callable[[Key, Array, PyTree, PyTree], tuple[PyTree, Array, PyTree]]
    observe: Callable[[Array, PyTree], PyTree] | None = None
    scales_private: bool = False
    positive: bool = False
    num_batches: int = 1
    keeps_rows: bool = False


class Rows(NamedTuple):
    """How a weighting or an aggregator comes by the objectives' gradients.

    of: "parameters": exact, one backward pass per objective; "features": of the representation that
        the outcome names, then one backward pass for all (MGDA-UB of Sener & Koltun 2018,
        `rep_grad` of LibMTL). That is an approximation: an upper bound of the exact problem.
    vmapped: the backward passes as one batched program, or one after another; None is one after
        another on a CPU (measured faster there) and batched elsewhere.
    every: weights are made anew at every k-th step, and used again between.
    """

    of: Literal["parameters", "features"] = "parameters"
    vmapped: bool | None = None
    every: int = 1


EXACT = Rows()
Losses = Callable[[Variables, Batch, Context], Outcome]
Optimizer = optax.GradientTransformation


class Turn(NamedTuple):
    """A player: objectives, the groups that they move, and how.

    losses: the one function of the turn, `(variables, batch, context) -> Outcome`.
    objectives: the rows, by name; every name is a key of the outcome's losses.
    optimizer: one for all groups of the turn together, or one by group.
    weighting: how the objectives are put together; None is the plain sum.
    repeats: runs of the turn within a step, each on its own slice of the batch.
    every: the turn is played at every k-th step only.
    rows: how the weighting comes by the gradients.
    """

    name: str
    losses: Losses
    objectives: Mapping[str, Objective]
    optimizer: Optimizer | Mapping[str, Optimizer]
    weighting: Weighting | Aggregator | None = None
    repeats: int = 1
    every: int = 1
    rows: Rows = EXACT


class Game(NamedTuple):
    """Groups, turns and what one does with the result.

    init: `(key, batch) -> {group: {"params": ..., other collections}}`
    turns: played in this order within a step.
    ema: half-life, in examples of the global batch, of the averaged copy of a group.
    sample: `(variables, n, labels | None, context) -> examples`; None where nothing is generated.
    latents, generate: the two halves of `sample`, where it has them: `(n, context) -> latents` and
        `(variables, latents, labels | None, context) -> examples`.
    predict: by name, `(variables, inputs, context) -> outputs` (class logits, features).
    classes: how many classes `sample` can be asked for; 0 where it is unconditional.
    codes: sizes of the codes in the last latents: of a categorical one its values, else 1.
    frozen: groups that nothing trains, on purpose.
    """

    init: Callable[[Key, Batch], dict[str, dict[str, PyTree]]]
    turns: tuple[Turn, ...]
    ema: Mapping[str, float] = {}
    sample: Callable[..., Array] | None = None
    predict: Mapping[str, Callable[..., Any]] = {}
    classes: int = 0
    frozen: tuple[str, ...] = ()
    latents: Callable[..., Array] | None = None
    generate: Callable[..., Array] | None = None
    codes: tuple[int, ...] = ()


class TrainState(NamedTuple):
    """What the next step needs, and nothing else.

    params, state: by group; opt: by turn; weighting: by turn; ema: `{"params", "state"}` by group.
    """

    step: Array  # shape=(), dtype=int32: updates done
    examples: Array  # shape=(), dtype=int64 where enabled, else int32: examples received
    params: dict[str, PyTree]
    state: dict[str, dict[str, PyTree]]
    opt: dict[str, PyTree]
    weighting: dict[str, PyTree]
    ema: dict[str, dict[str, PyTree]]


class Updater(NamedTuple):
    """A game that can be played: made by `alternating`.

    init: `(key, batch) -> TrainState`
    update: `(key, state, batch, axis_name=None, due=None) -> (TrainState, metrics)`
    periods: the distinct periods k > 1 of lazy rows and turns, in rising order; `due` is a static
        tuple of booleans in this order (None decides inside the program, from `state.step`).
    """

    init: Callable[[Key, Batch], TrainState]
    update: Callable[..., tuple[TrainState, dict[str, Array]]]
    periods: tuple[int, ...]


BATCH_STATISTIC = "batch_statistic/"


def batch_statistic(name: str, values: Array) -> Array:
    """`values` of any shape, marked as depending on more of the batch than their own example.

    A scalar that the batch enters is seen as a batch statistic by its shape; what stands inside a
    value per example (the means of a relativistic average, the deviation of DRAGAN) is marked with
    this. The mark is an identity and costs nothing; gradient accumulation, which sees part of the
    batch, refuses `name`.
    """
    return checkpoint_name(values, BATCH_STATISTIC + name)
