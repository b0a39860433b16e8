"""CamVid at half resolution: 701 street pictures, 11 classes of pixels.

Brostow, Shotton, Fauqueur & Cipolla, "Segmentation and Recognition Using Structure from Motion
Point Clouds", ECCV 2008, in the 480 x 360, 11-class version and the 367 / 101 / 233 split that
SegNet published (Badrinarayanan, Kendall & Cipolla, PAMI 2017). Read from `camvid_240x180.npz`:
pictures averaged over 2 x 2 pixels, labels of every other row and column. Published scores are at
480 x 360 or more, so that a score here must say "half resolution". Non-commercial research only.

Members: `train_images` uint8 [n, 180, 240, 3] and `train_labels` uint8 [n, 180, 240] (0 .. 10, and
11 unlabelled), and the same of `val` and `test`.
"""

from __future__ import annotations

import lzma
import pathlib
import zipfile
import zlib

import numpy as np

from gan_mtl.data.arrays import Split
from gan_mtl.data.convert import from_arrays
from gan_mtl.data.targets import IGNORE, MASK, check_targets

FILE = "camvid_240x180.npz"
UNLABELLED = 11  # in the file; becomes 255
LABEL_NAMES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
_PREFIXES = {"train": "train", "test": "test", "validation": "val"}


def missing_files(place: pathlib.Path) -> list[str]:
    """Which files are not in `place`; empty if it can be read."""
    return [] if (place / FILE).is_file() else [FILE]


def read_folder(place: pathlib.Path) -> dict[str, Split]:
    """The splits `train`, `test` and `validation`; see `read_split`."""
    return {key: read_split(place / FILE, key) for key in _PREFIXES}


def read_split(path: str | pathlib.Path, key: str) -> Split:
    """One split: images, no labels of whole pictures (-1), and the target `mask`.

    Args:
        path: of the archive.
        key: `train`, `test` or `validation`.

    Returns:
        images uint8 [n, h, w, 3]; `mask` uint8 [n, h, w], 0 .. 10, and 255 where nothing is
        labelled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, has not the members, or a mask is not what it should be.
    """
    path = pathlib.Path(path)
    images, classes = _members(path, [f"{_PREFIXES[key]}_{what}" for what in ("images", "labels")])
    where = f"{path}: {_PREFIXES[key]} "
    mask = np.where(classes == UNLABELLED, np.array(IGNORE, classes.dtype), classes)
    split = from_arrays(images, where=where)._replace(targets={MASK: mask})
    check_targets(split, len(LABEL_NAMES), where)
    return split


def _members(path: pathlib.Path, names: list[str]) -> list[np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    damaged = (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            absent = sorted(set(names) - set(archive.files))
            found = [] if absent else [archive[name] for name in names]
    except (*damaged, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"{path} is no NumPy archive of numbers, or is damaged: {error}"
        ) from error
    if absent:
        raise ValueError(f"{path} has no member {', no '.join(absent)}; it is not {FILE}")
    return found
