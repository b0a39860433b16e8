"""tensorflow-datasets builders of ours, which prepare without TensorFlow.

The official builders of image sets need TensorFlow to prepare (it encodes `Image` features). These
keep uint8 tensors, and read the published files with our own readers. The classes have the form
that tensorflow-datasets asks for. Importing this module imports tensorflow-datasets.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets

from gan_mtl.data import cifar, idx
from gan_mtl.data.arrays import Split

core, features = tensorflow_datasets.core, tensorflow_datasets.features


class _Published(core.GeneratorBasedBuilder, skip_registration=True):  # pyright: ignore
    """Prepares from `manual_dir` if the files are there, and downloads them otherwise."""

    VERSION = core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The published files, under their own names; or none of them."
    URL: ClassVar[str]
    FILES: ClassVar[tuple[str, ...]]
    SHAPE: ClassVar[tuple[int, int, int]]
    READ: ClassVar[Callable[[pathlib.Path], dict[str, Split]]]
    MISSING: ClassVar[Callable[[pathlib.Path], list[str]]]

    def _info(self) -> Any:
        image = features.Tensor(shape=self.SHAPE, dtype=np.uint8)
        label = features.ClassLabel(num_classes=10)
        return core.DatasetInfo(
            builder=self,
            description=f"Published files of {self.URL} as uint8 tensors.",
            features=features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            homepage=self.URL,
            disable_shuffling=True,  # the publisher's order, as our readers give it
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        try:
            folder = pathlib.Path(dl_manager.manual_dir)
        except AssertionError:  # there is no such folder
            folder = None
        if folder is None or type(self).MISSING(folder):
            folder = self._downloaded(dl_manager)
        splits = type(self).READ(folder)
        return {name: self._generate_examples(split) for name, split in splits.items()}

    def _downloaded(self, dl_manager: Any) -> pathlib.Path:
        """A folder with the published files under their own names."""
        fetched = dl_manager.download({name: f"{self.URL}{name}" for name in self.FILES})
        folder = pathlib.Path(dl_manager.download_dir) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in fetched.items():
            target = folder / name
            target.unlink(missing_ok=True)
            target.symlink_to(pathlib.Path(path).resolve())
        return folder

    def _generate_examples(self, split: Split) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            yield i, {"image": image, "label": int(label)}


_IDX = tuple(f"{name}.gz" for pair in idx.FILES.values() for name in pair)


class GanMtlMnist(_Published):
    """MNIST."""

    URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
    FILES, SHAPE = _IDX, (28, 28, 1)
    READ, MISSING = staticmethod(idx.read_folder), staticmethod(idx.missing_files)


class GanMtlFashionMnist(_Published):
    """Fashion-MNIST."""

    URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    FILES, SHAPE = _IDX, (28, 28, 1)
    READ, MISSING = staticmethod(idx.read_folder), staticmethod(idx.missing_files)


class GanMtlCifar10(_Published):
    """CIFAR-10."""

    URL = "https://www.cs.toronto.edu/~kriz/"
    FILES, SHAPE = ("cifar-10-binary.tar.gz",), (32, 32, 3)
    READ, MISSING = staticmethod(cifar.read_folder), staticmethod(cifar.missing_files)


BUILDERS = {"mnist": GanMtlMnist, "fashion_mnist": GanMtlFashionMnist, "cifar10": GanMtlCifar10}
