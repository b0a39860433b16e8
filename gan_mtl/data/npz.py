"""NumPy archives: the user's own (`npz:PATH`), and the sets kept in that form.

Members: `images`, `labels`; or `train_images`, `train_labels`, `test_images`, `test_labels` and
perhaps `val_images`, `val_labels`. Labels may be absent. Images are uint8, or any number type with
a member `value_range` = [low, high] that says what black and white are. `label_names` is optional.
"""

from __future__ import annotations

import pathlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from gan_mtl.data.arrays import Split
from gan_mtl.data.convert import from_arrays

USPS_RANGE = (-1000.0, 1000.0)  # thousandths of the published -1 .. 1


class Archive(NamedTuple):
    """What a source holds.

    splits: by name, `all`, or `train` and perhaps `test` and `validation`.
    label_names: one a class; empty where there are no labels.
    """

    splits: dict[str, Split]
    label_names: tuple[str, ...]


_PREFIXES = {"": "all", "train_": "train", "test_": "test", "val_": "validation"}


def read_npz(path: str | pathlib.Path, value_range: tuple[float, float] | None = None) -> Archive:
    """Reads an archive; nothing pickled is ever loaded.

    Args:
        path: of the .npz file.
        value_range: what black and white are where the file does not say.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or has not the members, naming file, member and remedy.
    """
    path = pathlib.Path(path)
    members = _members(path)
    if "value_range" in members:
        low, high = np.asarray(members["value_range"], float).reshape(-1).tolist()
        value_range = (low, high)
    splits = {
        key: from_arrays(
            members[f"{prefix}images"],
            members.get(f"{prefix}labels"),
            value_range=value_range,
            where=f"{path}: {prefix}",
        )
        for prefix, key in _PREFIXES.items()
        if f"{prefix}images" in members
    }
    if not ("all" in splits or "train" in splits):
        raise ValueError(
            f"{path} has members {sorted(members)}; it needs `images` (and `labels`), or "
            "`train_images`, `test_images` (and `train_labels`, `test_labels`)"
        )
    names = tuple(str(name) for name in members.get("label_names", ()))
    return Archive(splits, names or numbered(splits))


def numbered(splits: dict[str, Split]) -> tuple[str, ...]:
    """Names 0, 1, ... up to the highest label of any split."""
    highest = max(int(split.labels.max(initial=-1)) for split in splits.values())
    return tuple(str(c) for c in range(highest + 1))


def _members(path: pathlib.Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            wanted = ("images", "labels", "value_range", "label_names")
            return {key: archive[key] for key in archive.files if key.endswith(wanted)}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise ValueError(f"{path} is no NumPy archive, or is damaged: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"{path} holds a member that is no plain array ({error}); save arrays of numbers with "
            "numpy.savez_compressed"
        ) from error
