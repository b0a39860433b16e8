"""A sampler as one file that runs without this package, by `jax.export`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from gan_mtl import parallel
from gan_mtl.run.load import Loaded
from gan_mtl.types import Array

PLATFORMS = ("cpu", "cuda", "tpu")


def export_sampler(loaded: Loaded, n: int, platforms: Sequence[str] = PLATFORMS) -> bytes:
    """A compiled sampler with its parameters inside, serialized.

    `jax.export.deserialize(bytes).call(seed)` gives uint8 images [n, h, w, c], the same ones for
    the same seed (uint32, shape []) as `loaded.sample(jax.random.key(seed), n)`; a conditional
    sampler takes `(seed, labels)` with int32 labels [n]. It needs jax (and flatbuffers) alone, of
    this version or of those that jax promises to read it with.

    Args:
        loaded: a run with a generator.
        n: images a call; fixed.
        platforms: where it shall run.

    Raises:
        ValueError: for a run that generates nothing, or no images.
        ImportError: without the extra `export`.
    """
    if loaded.game.sample is None:
        raise ValueError(f"{loaded.arm.text or 'this run'} generates nothing: there is no sampler.")
    if n < 1:
        raise ValueError(f"n={n}: a sampler makes at least one image a call.")
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError(
            "exporting needs flatbuffers, which is not installed: pip install 'gan_mtl[export]'"
        )
    low, high = loaded.spec.value_range

    def pixels(seed: Array, labels: Array | None = None) -> Array:
        images = loaded.sample(jax.random.key(seed), n, labels)
        return jnp.round(jnp.clip((images - low) / (high - low), 0, 1) * 255).astype(jnp.uint8)

    inputs = [jax.ShapeDtypeStruct((), jnp.uint32)]
    if loaded.game.classes:
        inputs.append(jax.ShapeDtypeStruct((n,), jnp.int32))
    compiled: Any = parallel.compile_function(pixels)
    export = jax.export.export(compiled, platforms=tuple(platforms))
    return bytes(export(*inputs).serialize())
