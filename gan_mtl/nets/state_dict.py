"""Reads arrays from a file of PyTorch weights without PyTorch, and without running its code.

Such a file is a pickle: unpickled as it comes it may run anything. Here only what tensors are made
of is let through.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # begins files of PyTorch before 1.6
DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class _Tensor(NamedTuple):
    """A view of a storage whose bytes may come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Storage(NamedTuple):
    key: str
    dtype: Any
    size: int


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a saved state dict, by name.

    Takes both formats of `torch.save`: the archive (since 1.6) and the stream before it, which
    older published weights have. Little-endian.

    Args:
        data: the file's bytes: `pathlib.Path(file).read_bytes()`.

    Raises:
        ValueError: if this is no such file, or holds anything but tensors by name; names what was
            found.
    """
    if zipfile.is_zipfile(io.BytesIO(data)):
        content, storages = _archive(data)
    else:
        content, storages = _stream(data)
    if not isinstance(content, dict):
        raise ValueError(f"data: expected tensors by name, found {type(content).__name__}")
    return {str(name): _array(name, tensor, storages) for name, tensor in content.items()}


class _Unpickler(pickle.Unpickler):
    """Lets through ordered dicts, tensors and storages; nothing else is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *rest: tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise ValueError(f"data: {module}.{name} is no part of a state dict; save tensors only")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size = pid[:5]
        if kind != "storage" or (len(pid) > 5 and pid[5] is not None):
            raise ValueError(f"data: expected whole storages, found {pid!r}")
        return _Storage(str(key), dtype, int(size))


def _rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


def _archive(data: bytes) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"data: expected an archive with one data.pkl, found {names[:5]}")
        root = pickles[0].removesuffix("data.pkl")
        content = _Unpickler(io.BytesIO(archive.read(pickles[0]))).load()
        prefix = f"{root}data/"
        return content, {
            name.removeprefix(prefix): archive.read(name)
            for name in names
            if name.startswith(prefix)
        }


def _stream(data: bytes) -> tuple[Any, dict[str, bytes]]:
    file = io.BytesIO(data)
    try:
        magic = _Unpickler(file).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError("data: neither format of torch.save") from error
    if magic != MAGIC:
        raise ValueError(f"data: expected a file of torch.save, it begins with {magic!r:.50}")
    _Unpickler(file).load()  # the protocol's version
    _Unpickler(file).load()  # sizes of C types on the machine that wrote it
    tracker = _Tracker(file)
    content = tracker.load()
    storages = {}
    for key in _Unpickler(file).load():
        size = int.from_bytes(file.read(8), "little")
        storages[str(key)] = file.read(size * np.dtype(tracker.dtypes[str(key)]).itemsize)
    return content, storages


class _Tracker(_Unpickler):
    """Remembers the types of the storages, whose bytes follow later."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, Any] = {}

    def persistent_load(self, pid: Any) -> _Storage:
        storage = super().persistent_load(pid)
        self.dtypes[storage.key] = storage.dtype
        return storage


def _array(name: str, tensor: Any, storages: dict[str, bytes]) -> np.ndarray:
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"data: expected a tensor at {name!r}, found {type(tensor).__name__}")
    storage, offset, shape, strides = tensor
    values = np.frombuffer(storages[storage.key], storage.dtype)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if len(shape) != len(strides) or min((*shape, *strides, offset), default=0) < 0:
        raise ValueError(f"data: {name!r} has shape {shape} and strides {strides}")
    if 0 not in shape and last >= len(values):
        raise ValueError(f"data: {name!r} reaches beyond its storage of {len(values)} values")
    step = values.itemsize
    view = np.lib.stride_tricks.as_strided(
        values[offset:], shape, tuple(s * step for s in strides), writeable=False
    )
    return view.copy()
