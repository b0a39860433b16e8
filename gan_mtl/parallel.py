"""The only file that compiles: jit over a mesh or pmap, many steps in a call, seeds by vmap.

All of them compile the same pure body, `Updater.update`. What suits the backend is chosen here and
said in `Compiled.description`; each choice can be made by hand.
"""

from __future__ import annotations

import functools
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gan_mtl import audit
from gan_mtl.types import Batch, Game, Key, PyTree, TrainState, Updater

Mode = Literal["jit", "pmap"]
Placed = Any  # a TrainState on the devices: seeds stacked, or a list with one for each
LARGE = 1 << 16  # elements from which a parameter is worth sharding over the model axis

_NO_DATA: Any = ({}, {})  # what all seeds have in common, and each seed's own
_SEED_AXES: Any = TrainState(None, None, 0, 0, 0, 0, 0)  # pyright: ignore[reportArgumentType]


class Compiled(NamedTuple):
    """An update ready to run. With several seeds, keys and batches have a leading axis [seeds].

    init: `(keys, host batch of one step) -> state`, placed on the devices.
    update: `(step, keys, state, batch, data=...) -> (state, metrics)`; `step` is the number of the
        first step of the call, a Python integer. With `steps_per_call` K above 1, keys and batch
        have a further leading axis [K], and so have the metrics. The old state is donated under
        jit. Compiled with `gather`, the batch holds row numbers into `data`.
    put: the whole host batch, the same in every process, to a device batch.
    keep: the arrays of every seed to `data` on the devices; what seeds have in common (one object)
        is placed once.
    split, join: the state to one `TrainState` per seed, and back.
    steps_per_call: steps that one call of `update` takes.
    num_devices: that the update runs on.
    description: what was chosen, for people.
    """

    init: Callable[[Key, Batch], Placed]
    update: Callable[..., tuple[Placed, dict[str, jax.Array]]]
    put: Callable[[Mapping[str, Any]], Any]
    keep: Callable[[Sequence[Mapping[str, Any]]], Any]
    split: Callable[[Placed], list[TrainState]]
    join: Callable[[Sequence[TrainState]], Placed]
    steps_per_call: int
    num_devices: int
    description: str


def enable_compilation_cache(path: str | os.PathLike | None = None) -> str:
    """Keeps compiled programs between processes; returns the folder.

    Args:
        path: the folder; by default `JAX_COMPILATION_CACHE_DIR`, else `~/.cache/gan_mtl/jax`.
    """
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    folder = str(path or os.environ.get("JAX_COMPILATION_CACHE_DIR") or home / "gan_mtl" / "jax")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def make_mesh(num_devices: int | None = None, model: int = 1) -> Mesh:
    """A mesh of axes `data` and `model`.

    Args:
        num_devices: devices to use; all by default.
        model: size of the axis over which large parameters are sharded.
    """
    available = len(jax.devices())
    count = num_devices or available
    if not 1 <= count <= available:
        raise ValueError(
            f"devices={count}, but {available} {jax.default_backend()} devices are present. On a "
            "CPU more can be forced with --devices on the command line, or with "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={count}."
        )
    if count % model:
        raise ValueError(f"model={model} does not divide the {count} devices of the mesh.")
    return jax.make_mesh(
        (count // model, model),
        ("data", "model"),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=jax.devices()[:count],
    )


def check_divides(batch_size: int, num_devices: int, name: str = "batch_size") -> None:
    """Raises ValueError unless every device gets the same number of examples."""
    if batch_size % num_devices:
        lower = batch_size - batch_size % num_devices
        near = f"{lower} or {lower + num_devices}" if lower else f"{num_devices}"
        raise ValueError(
            f"{name}={batch_size} does not divide over {num_devices} devices; use {near}."
        )


def steps_that_divide(*marks: int) -> int:
    """Steps for one call that end at all of these step counts: 1 on CPU, up to 20 elsewhere."""
    if jax.default_backend() == "cpu":
        return 1
    common = math.gcd(*marks)
    return max(n for n in range(1, 21) if common % n == 0)


def compile_update(
    updater: Updater,
    *,
    mode: Mode = "jit",
    num_devices: int | None = None,
    model: int = 1,
    seeds: int = 1,
    vmap_seeds: bool | None = None,
    steps_per_call: int | None = None,
    gather: Callable[[Mapping[str, Any], Mapping[str, Any]], Batch] | None = None,
    example: tuple[Key, Batch] | None = None,
) -> Compiled:
    """Compiles the update of a game for the devices at hand.

    Args:
        mode: `jit` shards arrays over a mesh; `pmap` runs one program per device.
        num_devices: devices to use; all by default.
        model: under jit, the size of the mesh axis over which parameters of 65,536 elements and
            more are sharded (along their largest axis that divides).
        seeds: independent runs in one state.
        vmap_seeds: one program for all seeds, or one after another; None chooses: always one
            program on accelerators, on CPU only without convolutions (vmapped they are grouped:
            measured 2 to 10 times slower, from 8 pixels on).
        steps_per_call: steps compiled into one call by `lax.scan`; None chooses 1 on CPU (a
            convolution inside a loop leaves the fast kernel there) and 20 elsewhere.
        gather: `(data, rows) -> batch`, inside the program: the data stays on the devices, and only
            row numbers travel at every call.
        example: key and batch of one seed, to look for convolutions with.

    Raises:
        ValueError: for devices that are not there, or a mesh that does not divide.
    """
    if mode not in ("jit", "pmap"):
        raise ValueError(f"parallel={mode!r} is not one of 'jit', 'pmap'.")
    mesh = make_mesh(num_devices, model if mode == "jit" else 1)
    backend = jax.default_backend()
    steps = steps_per_call or steps_that_divide(20)
    together, why = _choose_seeds(updater, seeds, vmap_seeds, example, backend)
    lanes = seeds if together else 1
    body = _body(updater, lanes, steps, mode, gather, by_host=backend == "cpu" and steps == 1)
    build = _jit if mode == "jit" else _pmap
    lane = build(updater, body, mesh, lanes, steps)
    description = (
        f"{mode} on {mesh.size} {backend} device{'s' * (mesh.size > 1)} "
        f"(data {mesh.shape['data']}, model {mesh.shape['model']}), "
        f"{steps} step{'s' * (steps > 1)} per call{why}"
    )
    if seeds == 1 or together:
        return Compiled(*lane, steps, mesh.size, description)
    return Compiled(*_one_after_another(lane, seeds, steps), steps, mesh.size, description)


def dead_term_check(game: Game, batch: Batch, key: Key, trials: int = 3) -> None:
    """Raises ValueError for table entries without a gradient; see `audit.check_alive`."""
    norms = jax.jit(audit.raw_gradient_norms(game))
    found = [jax.device_get(norms(jax.random.fold_in(key, i), batch)) for i in range(trials)]
    audit.check_alive(found)


def compile_function(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit` for the rest of the package: sampling, prediction, features."""
    return jax.jit(function, **options)


def _choose_seeds(updater, seeds, vmap_seeds, example, backend) -> tuple[bool, str]:
    """Whether seeds share one program, and the words that say so."""
    if seeds == 1:
        return False, ""
    if vmap_seeds is not None:
        return vmap_seeds, f", {seeds} seeds {'vmapped' if vmap_seeds else 'in turn'} (asked for)"
    if backend != "cpu":
        return True, f", {seeds} seeds vmapped"
    if example is None:
        return False, f", {seeds} seeds in turn (no example batch to look for convolutions in)"
    state = jax.eval_shape(updater.init, *example)
    due = (True,) * len(updater.periods)
    side = audit.largest_convolution(
        lambda k, s, b: updater.update(k, s, b, due=due), example[0], state, example[1]
    )
    if side:
        return False, f", {seeds} seeds in turn (convolutions of {side} pixels on CPU)"
    return True, f", {seeds} seeds vmapped"


def _body(updater: Updater, lanes: int, steps: int, mode: Mode, gather, by_host: bool):
    """`(due) -> pure function of (keys, state, batch, data)`: seeds by vmap, steps by scan."""
    axis_name = "data" if mode == "pmap" else None

    def body(due):
        def one(key, state, batch, data):
            if gather is not None:
                batch = gather(data[0] | data[1], batch)
            return updater.update(key, state, batch, axis_name=axis_name, due=due)

        if lanes > 1:
            axes = (0, _SEED_AXES, 0, (None, 0))
            one = jax.vmap(one, in_axes=axes, out_axes=(_SEED_AXES, 0))
        if steps == 1:
            return one

        def many(keys, state, batch, data):
            return jax.lax.scan(lambda s, kb: one(kb[0], s, kb[1], data), state, (keys, batch))

        return many

    def choose(step: int):
        if not by_host:
            return None
        return tuple(step % period == 0 for period in updater.periods)

    return body, choose


def _batch_axis(lanes: int, steps: int) -> int:
    """The axis of examples in a batch: behind steps and seeds."""
    return (steps > 1) + (lanes > 1)


def _jit(updater: Updater, body, mesh: Mesh, lanes: int, steps: int):
    make, choose = body
    axis = _batch_axis(lanes, steps)
    by_examples = NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))
    init = jax.vmap(updater.init, out_axes=_SEED_AXES) if lanes > 1 else updater.init

    def shardings(state):
        return jax.tree.map(lambda x: NamedSharding(mesh, _spec(x, mesh.shape["model"])), state)

    def place_init(keys, batch):
        abstract = jax.eval_shape(init, keys, dict(batch))
        return jax.jit(init, out_shardings=shardings(abstract))(keys, dict(batch))

    def compiled(due):
        def pinned(keys, state, batch, data):
            state, metrics = make(due)(keys, state, batch, data)
            placed = jax.lax.with_sharding_constraint(state, shardings(state))
            return placed, metrics

        return jax.jit(pinned, donate_argnums=1)

    def put(batch):
        def place(name, x):
            x = np.asarray(x)
            check_divides(x.shape[axis], mesh.shape["data"], name)
            return jax.make_array_from_callback(x.shape, by_examples, lambda part: x[part])

        return {k: place(k, x) for k, x in batch.items()}

    update = _awaiting(_variants(compiled, choose), mesh)
    keep = functools.partial(_keep, mesh)
    join = functools.partial(_join, lanes, lambda s: jax.device_put(s, shardings(s)))
    return place_init, update, put, keep, functools.partial(_split, lanes), join


def _pmap(updater: Updater, body, mesh: Mesh, lanes: int, steps: int):
    make, choose = body
    axis = _batch_axis(lanes, steps)
    count = mesh.size
    devices = list(mesh.devices.flat)
    replicated = NamedSharding(mesh, PartitionSpec())
    init = jax.vmap(updater.init, out_axes=_SEED_AXES) if lanes > 1 else updater.init

    def place_init(keys, batch):
        return jax.jit(init, out_shardings=replicated)(keys, dict(batch))

    def compiled(due):
        return jax.pmap(
            make(due),
            axis_name="data",
            in_axes=(None, None, axis, None),
            out_axes=None,
            devices=devices,
        )

    def put(batch):
        def place(name, x):
            x = np.asarray(x)
            check_divides(x.shape[axis], count, name)
            return x.reshape(*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :])

        return {k: place(k, x) for k, x in batch.items()}

    update = _awaiting(_variants(compiled, choose), mesh)
    keep = functools.partial(_keep, mesh)
    join = functools.partial(_join, lanes, lambda s: jax.device_put(s, replicated))
    return place_init, update, put, keep, functools.partial(_split, lanes), join


def _spec(x: Any, model: int) -> PartitionSpec:
    """Large arrays are sharded over `model` along their largest axis that divides."""
    if model == 1 or math.prod(x.shape) < LARGE:
        return PartitionSpec()
    axes = sorted(range(len(x.shape)), key=lambda d: -x.shape[d])
    best = next((d for d in axes if x.shape[d] % model == 0), None)
    if best is None:
        return PartitionSpec()
    return PartitionSpec(*[None] * best, "model")


def _variants(compiled: Callable[[Any], Callable], choose: Callable[[int], Any]):
    """Compiles each set of due periods once, when it first comes up."""
    programs: dict[Any, Callable] = {}

    def update(step, keys, state, batch, data=_NO_DATA):
        due = choose(step)
        if due not in programs:
            programs[due] = compiled(due)
        return programs[due](keys, state, batch, data)

    return update


def _awaiting(update: Callable, mesh: Mesh):
    """On several CPU devices every call is waited for before the next one is queued.

    Two programs with collectives in flight (seeds in turn, or a long queue) wait for each other's
    threads: jaxlib then ends the process after 40 seconds.
    """
    if mesh.size == 1 or jax.default_backend() != "cpu":
        return update

    def awaited(*args, **kept):
        return jax.block_until_ready(update(*args, **kept))

    return awaited


def _keep(mesh: Mesh, arrays: Sequence[Mapping[str, Any]]):
    """`(in common, own)` on every device; own arrays have a leading axis [seeds] if several."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    first = arrays[0]
    common = {k: x for k, x in first.items() if all(one[k] is x for one in arrays)}
    own = {k: np.stack([one[k] for one in arrays]) for k in first if k not in common}
    return jax.device_put((common, own), everywhere)


def _split(lanes: int, state: TrainState) -> list[TrainState]:
    if lanes == 1:
        return [state]
    shared = {"step": state.step, "examples": state.examples}
    rest = state._replace(step=None, examples=None)  # pyright: ignore[reportArgumentType]
    return [jax.tree.map(lambda x, i=i: x[i], rest)._replace(**shared) for i in range(lanes)]


def _join(lanes: int, place: Callable, states: Sequence[TrainState]) -> TrainState:
    if lanes == 1:
        return place(states[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return place(stacked._replace(step=states[0].step, examples=states[0].examples))


def _one_after_another(lane, seeds: int, steps: int):
    """The same interface for seeds that are run in turn: the state is a list of states."""
    init, update, put, keep, split, join = lane
    seed_axis = int(steps > 1)

    def pick(tree: PyTree, i: int) -> PyTree:
        return jax.tree.map(lambda x: x[:, i] if seed_axis else x[i], tree)

    def init_all(keys, batch):
        return [init(keys[i], {k: x[i] for k, x in batch.items()}) for i in range(seeds)]

    def update_all(step, keys, states, batch, data=_NO_DATA):
        common, own = data
        done = [
            update(
                *(step, pick(keys, i), states[i], put(pick(dict(batch), i))),
                (common, {k: x[i] for k, x in own.items()}),
            )
            for i in range(seeds)
        ]
        metrics = jax.tree.map(lambda *x: jnp.stack(x, axis=seed_axis), *[m for _, m in done])
        return [state for state, _ in done], metrics

    def put_later(batch):
        return {k: np.asarray(x) for k, x in batch.items()}

    def split_all(states):
        return [one for state in states for one in split(state)]

    def join_all(states):
        return [join([state]) for state in states]

    return init_all, update_all, put_later, keep, split_all, join_all
