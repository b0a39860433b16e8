"""Checkpoints: a thin layer over Orbax that keeps the latest and the best, and notices damage.

Beside the state every checkpoint holds a manifest (the caller's meta, the metrics, dtype, shape and
sha256 of every leaf) and a list of its files with their sha256. Both are compared when it is
restored: Orbax does not notice changed values, and does not say which file cannot be read.
"""

from __future__ import annotations

import functools
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from gan_mtl.run import fingerprint, preservation
from gan_mtl.types import PyTree


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or restored; the message says what can be done."""


class Restored(NamedTuple):
    """A checkpoint as it was saved.

    state: on the shardings of the `like` that it was asked for with; meta: what was given to save.
    """

    step: int
    state: PyTree
    meta: dict[str, Any]


class Checkpoints(NamedTuple):
    """What can be done with a folder of checkpoints; made by `open_checkpoints`.

    save: `(step, state, meta, metrics=None) -> None`; when it returns, `state` may be donated: its
        values are held apart. Refuses a step that is there.
    restore: `(like, step=None) -> Restored`; the latest by default, and no other one in its place.
        `like` has the leaves of the state: arrays, or ShapeDtypeStructs with shardings.
    latest, best: the step of the newest and of the best checkpoint, or None.
    steps: all steps, rising. This, `latest` and `best` wait for a save under way.
    discard_after: `(step) -> steps removed`, for a run that goes on from an earlier step.
    wait: until the save under way is complete; close: the same, then let go.
    """

    save: Callable[..., None]
    restore: Callable[..., Restored]
    latest: Callable[[], int | None]
    best: Callable[[], int | None]
    steps: Callable[[], tuple[int, ...]]
    discard_after: Callable[[int], tuple[int, ...]]
    wait: Callable[[], None]
    close: Callable[[], None]


def saved_steps(folder: str | os.PathLike) -> tuple[int, ...]:
    """The steps of the complete checkpoints of a folder, rising; none where it does not exist."""
    path = pathlib.Path(folder)
    if not path.is_dir():
        return ()
    return tuple(sorted(int(p.name) for p in path.iterdir() if p.is_dir() and p.name.isdigit()))


def open_checkpoints(
    folder: str | os.PathLike,
    *,
    keep: int = 2,
    best: str | None = None,
    best_mode: str = "max",
    asynchronous: bool = True,
    read_only: bool = False,
) -> Checkpoints:
    """Opens a folder of checkpoints, made if need be; remains of interrupted saves are removed.

    Args:
        folder: a relative path is taken from the current directory.
        keep: how many of the latest are kept.
        best: the metric by which one more is kept, whatever its age; NaN is never best.
        best_mode: `"max"` or `"min"`.
        asynchronous: whether `save` returns before the files are written.
        read_only: for a look at a run, also one that is still going: nothing is removed or made.

    Raises:
        CheckpointError: for a folder that cannot be written, or cannot be found to be read.
        ValueError: for `keep` below 1 or another `best_mode`.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}.")
    if best_mode not in ("max", "min"):
        raise ValueError(f"best_mode must be 'max' or 'min', got {best_mode!r}.")
    path = pathlib.Path(folder).absolute()
    _check_folder(path, read_only)
    ranks: dict[int, float] = {}
    manager = ocp.CheckpointManager(
        path,
        options=ocp.CheckpointManagerOptions(
            create=False,
            cleanup_tmp_directories=not read_only,
            async_options=ocp.AsyncOptions(
                post_finalization_callback=functools.partial(fingerprint.write_inventories, path)
            ),
            preservation_policy=preservation.Policy(keep, ranks),  # pyright: ignore[reportArgumentType]
        ),
    )
    rank = functools.partial(preservation.rank, name=best, mode=best_mode)
    opened = _Folder(path, manager, read_only, asynchronous, ranks, rank)
    for step in _steps(opened):
        manifest = _intact_manifest(opened, step)
        if manifest is not None:
            ranks[step] = rank(manifest["metrics"])
    return Checkpoints(
        save=functools.partial(_save, opened),
        restore=functools.partial(_restore, opened),
        latest=lambda: max(_steps(opened), default=None),
        best=functools.partial(_best, opened),
        steps=functools.partial(_steps, opened),
        discard_after=functools.partial(_discard_after, opened),
        wait=functools.partial(_wait, opened),
        close=functools.partial(_close, opened),
    )


class _Folder(NamedTuple):
    """An open folder; `ranks` holds how good each step is, the greater the better."""

    path: pathlib.Path
    manager: ocp.CheckpointManager
    read_only: bool
    asynchronous: bool
    ranks: dict[int, float]
    rank: Callable[[Mapping[str, float | None]], float]


def _save(
    folder: _Folder,
    step: int,
    state: PyTree,
    meta: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
) -> None:
    if folder.read_only:
        raise CheckpointError(f"{folder.path} was opened to be read; step {step} is not saved")
    if step in _steps(folder):
        raise CheckpointError(
            f"{folder.path} has a checkpoint of step {step} already, and none is replaced; discard "
            "it first (discard_after), or choose another --workdir"
        )
    state = jax.tree.map(jnp.asarray, state)
    manifest = fingerprint.manifest(step, state, meta, metrics)
    folder.ranks[step] = folder.rank(manifest["metrics"])
    args = ocp.args.Composite(
        state=ocp.args.StandardSave(_stored(state)),  # pyright: ignore[reportCallIssue]
        manifest=ocp.args.JsonSave(manifest),  # pyright: ignore[reportCallIssue]
    )
    try:
        folder.manager.save(step, args=args, force=True)
    except Exception as error:
        raise _unwritten(folder, f"step {step}", error) from error
    if not folder.asynchronous:
        _wait(folder)


def _restore(folder: _Folder, like: PyTree, step: int | None = None) -> Restored:
    like, found = fingerprint.abstract(like), _steps(folder)
    if not found:
        raise CheckpointError(f"{folder.path} holds no complete checkpoint")
    step = found[-1] if step is None else step
    if step not in found:
        have = ", ".join(map(str, found))
        raise CheckpointError(f"{folder.path} has no checkpoint of step {step}; it has {have}")
    where = f"checkpoint {folder.path / str(step)}"
    if damage := fingerprint.damage(folder.path / str(step), thorough=True):
        raise CheckpointError(f"{where} is damaged: {damage}; {_instead(folder, step)}")
    try:
        manifest = _read_manifest(folder, step)
    except Exception as error:
        raise CheckpointError(
            f"the manifest of {where} is damaged or missing ({_first_line(error)}); "
            f"{_instead(folder, step)}"
        ) from error
    if misfits := fingerprint.misfits(manifest, like):
        raise CheckpointError(
            f"{where} is not of this game: {misfits}; start again with the config that it was "
            "made with, or in another --workdir"
        )
    try:
        state = _read_state(folder, step, like)
    except Exception as error:
        raise CheckpointError(
            f"{where} cannot be read: a file in it is damaged or missing ({_first_line(error)}); "
            f"{_instead(folder, step)}"
        ) from error
    if changed := fingerprint.changed(manifest, state):
        raise CheckpointError(
            f"{where} is damaged: the values of {changed} are not those that were saved (sha256); "
            f"{_instead(folder, step)}"
        )
    return Restored(step, state, manifest["meta"])


def _steps(folder: _Folder) -> tuple[int, ...]:
    _wait(folder)
    return tuple(sorted(folder.manager.all_steps()))


def _best(folder: _Folder) -> int | None:
    return preservation.best_of(folder.ranks, _steps(folder))


def _discard_after(folder: _Folder, step: int) -> tuple[int, ...]:
    later = tuple(s for s in _steps(folder) if s > step)
    for s in later:
        folder.manager.delete(s)
        folder.ranks.pop(s, None)
    return later


def _wait(folder: _Folder) -> None:
    try:
        folder.manager.wait_until_finished()
    except Exception as error:
        raise _unwritten(folder, "the last checkpoint", error) from error


def _close(folder: _Folder) -> None:
    try:
        _wait(folder)
    finally:
        folder.manager.close()


def _check_folder(path: pathlib.Path, read_only: bool) -> None:
    if read_only:
        if not path.is_dir():
            raise CheckpointError(f"there is no folder {path}; is it the folder of a run?")
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CheckpointError(
            f"cannot write checkpoints into {path} ({error.strerror}); choose a --workdir that "
            "can be written"
        ) from error


def _read_manifest(folder: _Folder, step: int) -> dict[str, Any]:
    """The manifest of a step; any exception if it is missing or not as it was sealed."""
    args = ocp.args.Composite(manifest=ocp.args.JsonRestore())
    return fingerprint.opened(folder.manager.restore(step, args=args)["manifest"], step)


def _read_state(folder: _Folder, step: int, like: PyTree) -> PyTree:
    args = ocp.args.StandardRestore(_stored(like))  # pyright: ignore[reportCallIssue]
    found = folder.manager.restore(step, args=ocp.args.Composite(state=args))["state"]

    def whole(wanted: jax.ShapeDtypeStruct, got: Any) -> Any:
        return jnp.zeros(wanted.shape, wanted.dtype) if got is None else got

    return jax.tree.map(whole, like, found)


def _stored(tree: PyTree) -> PyTree:
    """The tree without arrays of no element, which Orbax does not take."""
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, tree)


def _intact_manifest(folder: _Folder, step: int) -> dict[str, Any] | None:
    try:
        return _read_manifest(folder, step)
    except Exception:
        return None


def _instead(folder: _Folder, step: int) -> str:
    """What can be restored in place of a damaged step; contents are not compared here."""
    rest = [
        s
        for s in reversed(_steps(folder))
        if s != step
        and not fingerprint.damage(folder.path / str(s), thorough=False)
        and _intact_manifest(folder, s)
    ]
    if not rest:
        return "no other checkpoint is left there; start anew in another --workdir"
    more = f" (also there: {', '.join(map(str, rest[1:]))})" if rest[1:] else ""
    return f"start again with --restore-step {rest[0]}{more}"


def _unwritten(folder: _Folder, what: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{what} could not be written into {folder.path} ({_first_line(error)}); if it is full, "
        "make room there or choose another --workdir"
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
