"""The IDX files in which MNIST and its likes are published, plain or gzip-compressed."""

from __future__ import annotations

import gzip
import math
import pathlib
import zlib

import numpy as np

from gan_mtl.data.arrays import Split
from gan_mtl.data.convert import from_arrays

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | pathlib.Path) -> np.ndarray:
    """Reads one IDX file: any element type, any number of axes.

    Args:
        path: gzip-compressed or not; told apart by content.

    Returns:
        The array, in the machine's own byte order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the magic number is wrong, or the file is cut off, too long or damaged.
    """
    path = pathlib.Path(path)
    data = _bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise ValueError(
            f"{path} is no IDX file: it starts with bytes {list(data[:4])}, where "
            f"0, 0, an element type (one of {sorted(_TYPES)}) and the number of axes should be"
        )
    kind, axes = np.dtype(_TYPES[data[2]]), data[3]
    header = 4 + 4 * axes
    shape = tuple(np.frombuffer(data[4:header], ">u4").tolist()) if len(data) >= header else ()
    expected = header + math.prod(shape) * kind.itemsize
    if len(shape) != axes or len(data) != expected:
        raise ValueError(
            f"{path} is {'cut off' if len(data) < expected else 'too long'}: its header announces "
            f"shape {list(shape)}, {expected} bytes in all, and it has {len(data)}; get it again"
        )
    return np.frombuffer(data, kind, offset=header).reshape(shape).astype(kind.newbyteorder("="))


def read_folder(folder: str | pathlib.Path) -> dict[str, Split]:
    """Reads the four published files of a folder: splits `train` and `test`, [n, h, w, 1].

    Raises:
        FileNotFoundError: naming the files that are not there.
        ValueError: if a file is damaged, or images and labels do not fit together.
    """
    folder = pathlib.Path(folder)
    missing = missing_files(folder)
    if missing:
        raise FileNotFoundError(f"{folder} has no {', no '.join(missing)} (plain or .gz)")
    splits = {}
    for key, pair in FILES.items():
        images, labels = (read_idx(find(folder, name) or folder / name) for name in pair)
        splits[key] = from_arrays(images, labels, where=f"{folder}: {key} ")
    return splits


def missing_files(folder: str | pathlib.Path) -> list[str]:
    """The published names that are not in `folder`."""
    names = [name for pair in FILES.values() for name in pair]
    return [name for name in names if find(pathlib.Path(folder), name) is None]


def find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """The file of that name, with or without `.gz`, or as unpacked (`train-images.idx3-ubyte`)."""
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _bytes(path: pathlib.Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is cut off or damaged ({error}); get it again") from error
