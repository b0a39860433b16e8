"""Batches of data that does not fit into memory: the same order as `stream`, read when asked for.

A source is anything with a length and images by number. Labels stand apart, as an array with -1
where they may not be seen, so that visibility is held in the values here too.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int32, UInt8

from gan_mtl.data import validate
from gan_mtl.data.arrays import HIDDEN
from gan_mtl.data.convert import to_float
from gan_mtl.data.folder import open_picture
from gan_mtl.data.resize import Size, fit, height_width, resized
from gan_mtl.data.stream import Batch, Stream, schedule


class Source(Protocol):
    """Images by number, all of one shape; `__getitems__(numbers)` is used where it exists."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w c"]: ...


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Picture files as a source; `folder.list_pictures` finds them.

    size: to which each is cropped and resized, see `resize`.
    colour: 3 channels, or 1.
    """

    files: Sequence[pathlib.Path]
    size: Size
    colour: bool = True

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w c"]:
        picture = open_picture(self.files[index]).convert("RGB" if self.colour else "L")
        pixels = np.asarray(fit(picture, height_width(self.size)))
        return pixels if self.colour else pixels[..., None]


@dataclasses.dataclass(frozen=True)
class Records:
    """The images of a tensorflow-datasets data source (`builder.as_data_source(split)`).

    key: the name of the image among the features.
    size: to which each is cropped and resized; None where they are of one size.
    """

    source: Any
    key: str = "image"
    size: Size | None = None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w c"]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int], /) -> list[UInt8[np.ndarray, "h w c"]]:
        rows = self.source.__getitems__(list(indices))
        if self.size is None:
            return [row[self.key] for row in rows]
        wanted = height_width(self.size)
        return [resized(row[self.key], wanted) for row in rows]


def lazy_stream(
    source: Source,
    batch_size: int,
    seed: int,
    *,
    labels: Int32[np.ndarray, " n"] | None = None,
    labelled_batch_size: int = 0,
    value_range: tuple[float, float] = (-1.0, 1.0),
    repeats: int = 1,
    shard: tuple[int, int] = (0, 1),
) -> Stream:
    """As `stream`, with the same batches bit for bit, but images are read when a batch is.

    Args:
        source: uint8 images [h, w, c] by number; must be safe to read from several threads.
        batch_size: B; and so `seed`, `labelled_batch_size`, `value_range`, `repeats` as there.
        labels: -1 where hidden; None has none at all.
        shard: (i, k) reads the i-th of k equal, consecutive parts of every batch: process i of k.

    Raises:
        ValueError: as `stream`, and if a batch cannot be divided into k parts.
    """
    known = np.full(len(source), HIDDEN, np.int32) if labels is None else np.asarray(labels)
    validate.check_labels(known)
    if len(known) != len(source):
        raise ValueError(f"labels has {len(known)} entries and the source {len(source)} images")
    indices = schedule(known, batch_size, seed, labelled_batch_size, repeats)
    validate.check_value_range(value_range)
    for name, count in (("batch_size", batch_size), ("labelled_batch_size", labelled_batch_size)):
        if count * repeats % shard[1]:
            raise ValueError(
                f"{name}={count} times repeats={repeats} is no multiple of the {shard[1]} shards"
            )
    all_visible = bool((known != HIDDEN).all())

    def batch(step: int) -> Batch:
        rows = {key: _part(found, shard) for key, found in indices(step).items()}
        images = {key: to_float(_fetch(source, found), *value_range) for key, found in rows.items()}
        out = {"images": images["images"]}
        if all_visible:
            out["labels"] = known[rows["images"]]
        if "labelled" in rows:
            out["labelled_images"] = images["labelled"]
            out["labelled_labels"] = known[rows["labelled"]]
        return out

    examples = batch_size * repeats
    return Stream(batch, examples_per_step=examples, steps_per_epoch=len(known) / examples)


def prefetch(
    source: Stream, start: int = 0, threads: int = 8, ahead: int = 16
) -> Iterator[tuple[int, Batch]]:
    """(step, batch) from `start` on, made ahead of time by several threads. Needs Grain.

    The batches are `source.batch(step)`: how many threads there are changes nothing else.

    Args:
        source: any stream.
        start: the first step.
        threads: each makes a whole batch.
        ahead: how many batches are kept ready, in host memory.

    Raises:
        ImportError: without Grain, saying how to install it.
    """
    try:
        import grain  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("prefetch needs Grain: pip install 'gan_mtl[grain]'") from error
    steps = grain.MapDataset.range(start, 2**62)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
    batches = steps.map(lambda step: (int(step), source.batch(int(step))))
    return iter(batches.to_iter_dataset(options))


def _part(rows: np.ndarray, shard: tuple[int, int]) -> np.ndarray:
    index, count = shard
    size = len(rows) // count
    return rows[index * size : (index + 1) * size]


def _fetch(source: Source, rows: Int32[np.ndarray, " b"]) -> UInt8[np.ndarray, "b h w c"]:
    many = getattr(source, "__getitems__", None)
    numbers = rows.tolist()
    images = many(numbers) if many is not None else [source[i] for i in numbers]
    return np.stack([np.asarray(image) for image in images])
