"""A score carries its protocol, and refuses to be compared with another protocol's."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import jax
import numpy as np

from gan_mtl.types import PyTree


class Protocol(NamedTuple):
    """How a score was measured: all that moves it without the model being any better.

    metric: what, with its convention, e.g. "kernel_distance (100 x 1000)".
    network: the feature network's name, "" if the metric needs none.
    network_hash: of its weights, see `weights_hash`.
    real_count, fake_count: sample counts.
    split: where the reals come from.
    ema: whether the averaged generator (or classifier) was measured.
    seeds: of the runs that the value is a mean over.
    notes: anything else, e.g. the resizer or the BatchNorm mode.
    """

    metric: str
    network: str
    network_hash: str
    real_count: int
    fake_count: int
    split: str
    ema: bool
    seeds: tuple[int, ...]
    notes: str = ""


class Score(NamedTuple):
    """A value, its spread over the protocol's seeds, and the protocol."""

    value: float
    std: float | None
    protocol: Protocol


def compare(a: Score, b: Score) -> float:
    """`a.value - b.value`, if both were measured alike.

    Raises:
        ValueError: if the protocols differ; names every differing field with both values.
    """
    differing = [
        f"{field} ({x!r} against {y!r})"
        for field, x, y in zip(Protocol._fields, a.protocol, b.protocol, strict=True)
        if x != y
    ]
    if differing:
        raise ValueError(
            "scores of different protocols are not comparable; "
            f"they differ in {', '.join(differing)}"
        )
    return a.value - b.value


def weights_hash(variables: PyTree) -> str:
    """The first 12 hex digits of SHA-256 over names, shapes, types and bytes of all leaves."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]
