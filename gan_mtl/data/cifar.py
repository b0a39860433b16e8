"""CIFAR-10 as published: the binary or the Python version, unpacked or as the archive.

The Python version is a pickle, which can run code when loaded; it is read by an unpickler that
knows NumPy arrays and nothing else.
"""

from __future__ import annotations

import io
import pathlib
import pickle
import tarfile
from collections.abc import Callable
from typing import Any

import numpy as np

from gan_mtl.data.arrays import Split
from gan_mtl.data.convert import from_arrays

LABEL_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
FORMS = ("cifar-10-batches-bin", "cifar-10-batches-py")
ARCHIVES = {
    "cifar-10-binary.tar.gz": "cifar-10-batches-bin",
    "cifar-10-python.tar.gz": "cifar-10-batches-py",
}
_RECORD = 1 + 3 * 32 * 32


def missing_files(folder: str | pathlib.Path) -> list[str]:
    """Empty if one of the published forms is in `folder`; otherwise the forms looked for."""
    return [] if _reader(pathlib.Path(folder)) else [*ARCHIVES, *(f"{form}/" for form in FORMS)]


def read_folder(folder: str | pathlib.Path) -> dict[str, Split]:
    """Reads splits `train` (50,000) and `test` (10,000), [n, 32, 32, 3].

    Raises:
        FileNotFoundError: if no published form is there, or a part of it is missing.
        ValueError: if a part is cut off or damaged, naming it.
    """
    found = _reader(pathlib.Path(folder))
    if found is None:
        raise FileNotFoundError(f"{folder} has none of {', '.join(missing_files(folder))}")
    read, binary = found
    splits = {}
    for key, names in BATCHES.items():
        pairs = [_parse(*read(f"{name}.bin" if binary else name), binary) for name in names]
        images, labels = (np.concatenate(part) for part in zip(*pairs, strict=True))
        splits[key] = from_arrays(images, labels, num_classes=10, where=f"{folder}: {key} ")
    return splits


Reader = Callable[[str], tuple[str, bytes]]


def _reader(folder: pathlib.Path) -> tuple[Reader, bool] | None:
    """How to get a part's full name and bytes, and whether it is the binary version."""
    for place in (*(folder / form for form in FORMS), folder):
        for first, binary in (("data_batch_1.bin", True), ("data_batch_1", False)):
            if (place / first).is_file():
                return lambda name, place=place: _from_folder(place / name), binary
    for archive, inner in ARCHIVES.items():
        path = folder / archive
        if path.is_file():
            return lambda name, p=path, i=inner: _from_tar(p, f"{i}/{name}"), "bin" in inner
    return None


def _from_folder(path: pathlib.Path) -> tuple[str, bytes]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; unpack the whole archive")
    return str(path), path.read_bytes()


def _from_tar(path: pathlib.Path, member: str) -> tuple[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            inner = archive.extractfile(member)
            assert inner is not None
            return f"{path}: {member}", inner.read()
    except (KeyError, EOFError, OSError, tarfile.TarError, AssertionError) as error:
        raise ValueError(f"{path} is damaged or has no {member} ({error}); get it again") from error


def _parse(where: str, data: bytes, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 32, 32, 3] and labels uint8 [n] of one part."""
    if binary:
        if not data or len(data) % _RECORD:
            raise ValueError(
                f"{where} has {len(data)} bytes, no multiple of {_RECORD}; get it again"
            )
        rows = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
        labels, pixels = rows[:, 0], rows[:, 1:]
    else:
        try:
            content = _Arrays(io.BytesIO(data), encoding="bytes").load()
            labels, pixels = np.asarray(content[b"labels"]), np.asarray(content[b"data"])
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where} is damaged ({error}); get it again") from error
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class _Arrays(pickle.Unpickler):
    """Loads NumPy arrays in plain containers; anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "encode", "_frombuffer"}
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
