"""What a call of the compiled update is fed with: keys, and batches or row numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from gan_mtl import data
from gan_mtl.data import Dataset, Stream
from gan_mtl.run.config import Config

RESIDENT_BYTES = 2 << 30  # data up to this size is kept on accelerators


class Feed(NamedTuple):
    """The source of one arm's calls; every axis of size one (steps, seeds) is left out.

    keys: `(first step) -> [steps, seeds]`, a function of root and step alone, so that a resumed
        run goes on where it was.
    batch: `(first step) -> {entry: [steps, seeds, examples, ...]}`; row numbers where resident.
    example: the first batch of every seed, [seeds, examples, ...].
    """

    keys: Callable[[int], jax.Array]
    batch: Callable[[int], dict[str, np.ndarray]]
    example: dict[str, np.ndarray]


def open_stream(config: Config, dataset: Dataset, seed: int, repeats: int) -> Stream:
    """The batches of one cell's training split; side by side where it was joined from several."""
    if dataset.sources:
        return data.joined_stream(
            dataset.train,
            dataset.sources,
            config.batch_size,
            seed,
            labelled_batch_size=config.labelled_batch_size,
            value_range=config.value_range,
            repeats=repeats,
        )
    return data.stream(
        dataset.train,
        config.batch_size,
        seed,
        labelled_batch_size=config.labelled_batch_size,
        value_range=config.value_range,
        repeats=repeats,
    )


def feed(
    streams: Sequence[Stream],
    roots: jax.Array,
    step_keys: Callable[[jax.Array, np.ndarray], jax.Array],
    steps_per_call: int,
    resident: bool,
) -> Feed:
    """Joins the streams of the seeds.

    Args:
        roots: keys [seeds].
        step_keys: the compiled `step_keys` below.
    """
    count = len(streams)

    def keys(first: int) -> jax.Array:
        steps = np.arange(first, first + steps_per_call, dtype=np.uint32)
        found = step_keys(roots, steps)
        found = found if count > 1 else found[:, 0]
        return found if steps_per_call > 1 else found[0]

    def rows(source: Stream, step: int) -> Mapping[str, np.ndarray]:
        if not resident:
            return source.batch(step)
        assert source.indices is not None
        return source.indices(step)

    def batch(first: int) -> dict[str, np.ndarray]:
        steps = range(first, first + steps_per_call)
        parts = [_stacked([rows(s, step) for s in streams]) for step in steps]
        return _stacked(parts)

    return Feed(keys, batch, _stacked([s.batch(0) for s in streams]))


def step_keys(roots: jax.Array, steps: jax.Array) -> jax.Array:
    """Keys [steps, seeds] from roots [seeds]."""
    trunk = jax.vmap(lambda root: jax.random.fold_in(root, 2))(roots)
    return jax.vmap(lambda s: jax.vmap(lambda k: jax.random.fold_in(k, s))(trunk))(steps)


def choose_resident(stream: Stream, asked: bool | None, backend: str) -> bool:
    """Whether the data stays on the devices: where it fits, and not on a CPU unless asked for.

    Raises:
        ValueError: if it is asked for and the data is read piecewise from the disk.
    """
    if stream.arrays is None:
        if asked:
            raise ValueError("resident=True, but this data set is read piecewise: leave it out.")
        return False
    if asked is not None:
        return asked
    size = sum(x.nbytes for x in stream.arrays.values())
    return backend != "cpu" and size <= RESIDENT_BYTES


def _stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(parts) == 1:
        return dict(parts[0])
    return {k: np.stack([part[k] for part in parts]) for k in parts[0]}
