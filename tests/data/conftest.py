"""Small published-like files for the readers, and where the real ones are."""

import gzip
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from gan_mtl.data import idx
from gan_mtl.data.arrays import Split


@pytest.fixture
def real() -> Callable[..., pathlib.Path]:
    """`real("mnist/x.gz")` is that file of the real data, or skips the test."""

    def find(*files: str) -> pathlib.Path:
        root = os.environ.get("GAN_MTL_DATA")
        if root is None:
            pytest.skip("GAN_MTL_DATA is not set: it names the folder of the real data")
        for file in files:
            if not (pathlib.Path(root) / file).exists():
                pytest.skip(f"{file} is not in GAN_MTL_DATA={root}")
        return pathlib.Path(root)

    return find


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    shape = b"".join(int(d).to_bytes(4, "big") for d in array.shape)
    return bytes([0, 0, code, array.ndim]) + shape + array.tobytes()


@pytest.fixture
def idx_folder() -> Callable[..., dict[str, Split]]:
    """Writes the four files of an MNIST-like set, and returns what is in them."""

    def write(folder: pathlib.Path, train: int = 30, test: int = 10, packed: bool = True):
        folder.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(0)
        splits = {}
        for (key, names), n in zip(idx.FILES.items(), (train, test), strict=True):
            images = draw.integers(0, 256, (n, 28, 28), np.uint8)
            labels = (np.arange(n) % 10).astype(np.uint8)
            for name, array in zip(names, (images, labels), strict=True):
                data = idx_bytes(array)
                path = folder / (f"{name}.gz" if packed else name)
                path.write_bytes(gzip.compress(data) if packed else data)
            splits[key] = Split(images[..., None], labels.astype(np.int32))
        return splits

    return write


@pytest.fixture
def toy() -> Split:
    """40 images of 4 x 4 pixels, each of one value that is its number; 4 classes, 10 of each."""
    images = np.arange(40, dtype=np.uint8).repeat(16).reshape(40, 4, 4, 1)
    return Split(images, (np.arange(40) % 4).astype(np.int32))
