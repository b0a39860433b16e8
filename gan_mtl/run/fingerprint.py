"""What a checkpoint says of itself: sha256 of every leaf of its state, and of every file."""

from __future__ import annotations

import hashlib
import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from gan_mtl.types import PyTree

FORMAT = 1
INVENTORY = "files.json"
STILL_CHANGING = "_CHECKPOINT_METADATA"  # by Orbax, up to the last moment; nothing is read from it


def digest(tree: PyTree) -> str:
    """sha256 over path, dtype, shape and values of every leaf, wherever the leaves lie."""
    return seal(leaves(tree))


def seal(value: Any) -> str:
    """sha256 of a JSON value, in one canonical spelling."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def manifest(
    step: int, state: PyTree, meta: Mapping[str, Any], metrics: Mapping[str, float] | None
) -> dict[str, Any]:
    """What is kept beside a state, of JSON values only; metrics that are not finite become None.

    Raises:
        ValueError: if meta holds what JSON does not.
    """
    try:
        meta = json.loads(json.dumps(dict(meta), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"meta must hold JSON values only ({error}); got {meta!r}") from error
    found = {
        "format": FORMAT,
        "step": int(step),
        "meta": meta,
        "metrics": {k: _finite(v) for k, v in (metrics or {}).items()},
        "leaves": leaves(state),
    }
    return {**found, "seal": seal(found)}


def opened(found: Mapping[str, Any], step: int) -> dict[str, Any]:
    """A manifest that was read, without its seal.

    Raises:
        ValueError: if it is not what was sealed, or not of this step and format.
        KeyError: if it has no seal.
    """
    bare = {name: value for name, value in found.items() if name != "seal"}
    if found["seal"] != seal(bare):
        raise ValueError("its seal is broken: it is not what was written")
    if (bare["format"], bare["step"]) != (FORMAT, step):
        raise ValueError(f"it is of step {bare['step']}, in format {bare['format']}")
    return bare


def misfits(manifest: Mapping[str, Any], like: PyTree) -> str:
    """Where the leaves of `like` are not those of the manifest, in words; empty if nowhere."""
    there = {path: leaf[0] for path, leaf in manifest["leaves"].items()}
    here = {path: kind(leaf) for path, leaf in flatten(like).items()}
    return _listed(
        f"{path} is {there.get(path, 'absent')} there and {here.get(path, 'absent')} here"
        for path in {**there, **here}
        if there.get(path) != here.get(path)
    )


def changed(manifest: Mapping[str, Any], state: PyTree) -> str:
    """The paths of the leaves whose values are not those of the manifest; empty if none."""
    found = leaves(state)
    return _listed(path for path, leaf in manifest["leaves"].items() if found.get(path) != leaf)


def leaves(tree: PyTree) -> dict[str, list[str]]:
    """By path: the kind of a leaf and the sha256 of its values in C order.

    Typed keys go through their data. Every process must call this where leaves are spread over
    several: the values are gathered.
    """
    flat = flatten(tree)
    hosts = jax.device_get([_values(leaf) for leaf in flat.values()])
    with ThreadPoolExecutor() as threads:
        hashes = list(threads.map(_sha256, hosts))
    return {p: [kind(leaf), h] for (p, leaf), h in zip(flat.items(), hashes, strict=True)}


def flatten(tree: PyTree) -> dict[str, Any]:
    """The leaves by path, `params['disc']['kernel']`."""
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in found}


def kind(leaf: Any) -> str:
    """Dtype and shape, `float32[3,4]`, of an array or a ShapeDtypeStruct."""
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def write_inventories(root: pathlib.Path) -> None:
    """Notes size and sha256 of every file of an unfinished checkpoint in `files.json` in it.

    For Orbax to call when all is written, before the folder takes its final name.
    """
    if jax.process_index() != 0:
        return
    for folder in root.glob("*.orbax-checkpoint-tmp*"):
        found = {
            str(path.relative_to(folder)): [path.stat().st_size, _file_sha256(path)]
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != STILL_CHANGING
        }
        text = json.dumps({"files": found, "seal": seal(found)})
        (folder / INVENTORY).write_text(text)


def damage(folder: pathlib.Path, *, thorough: bool) -> str:
    """What is wrong with the files of a checkpoint, in words; empty if nothing is.

    thorough: compare contents too, not only sizes.
    """
    if not (folder / INVENTORY).is_file():
        return f"{folder / INVENTORY} is missing"
    try:
        inventory = json.loads((folder / INVENTORY).read_text())
        files = inventory["files"]
        if inventory["seal"] != seal(files):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        return f"{folder / INVENTORY} was changed"
    for name, (size, sha256) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes of {size}"
        if thorough and _file_sha256(path) != sha256:
            return f"{path} was changed (sha256)"
    return ""


def abstract(like: PyTree) -> PyTree:
    """ShapeDtypeStructs of the leaves with their shardings, or else on one device."""

    def of(leaf: Any) -> jax.ShapeDtypeStruct:
        if not hasattr(leaf, "sharding"):
            leaf = jnp.asarray(leaf)
        one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding or one)

    return jax.tree.map(of, like)


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _values(leaf: Any) -> Any:
    """The whole array, of plain numbers, in reach of this process."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return multihost_utils.process_allgather(leaf, tiled=True)
    return leaf


def _sha256(array: Any) -> str:
    flat = np.ascontiguousarray(array).reshape(-1)
    return hashlib.sha256(flat.view(np.uint8).data).hexdigest()


def _file_sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(items: Iterable[str], most: int = 5) -> str:
    found = list(items)
    more = f", and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
