"""Sets prepared by tensorflow-datasets, read without TensorFlow (from array_record files).

tensorflow-datasets is imported when it is needed, and not before. Everything is read into memory
once; `lazy` is for what does not fit. Official builders shuffle what they prepare, so the same
images have another order, and another manifest, than in the published files; ours keep the order.
"""

from __future__ import annotations

import difflib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_mtl.data import pets
from gan_mtl.data.arrays import Split
from gan_mtl.data.convert import from_arrays
from gan_mtl.data.npz import Archive
from gan_mtl.data.resize import Size, resized
from gan_mtl.data.targets import check_targets

OURS = ("mnist", "fashion_mnist", "cifar10")  # prepared without TensorFlow, see `tfds_builders`
TARGETS = {"oxford_iiit_pet": pets}  # sets of which more than image and class is read
_CHUNK = 1024


def read_tfds(name: str, places: Sequence[pathlib.Path], size: Size | None = None) -> Archive:
    """Reads a prepared set: splits `train` and `test`, where it has no `test` its `validation`.

    Of most sets the image and its class are read; of `oxford_iiit_pet` the targets too (`pets`).

    Args:
        name: as tensorflow-datasets has it, `mnist` or `name/config:1.0.0`.
        places: data directories, tried in this order.
        size: see `resize`; needed where images differ in size.

    Raises:
        FileNotFoundError: if it is not prepared, saying how to prepare it.
        ValueError: if tensorflow-datasets has no such set, it has no images, or a record's target
            is not what it should be.
    """
    found = find_tfds(name, places, size)
    if found is not None:
        return found
    looked = "".join(f"\n    in {place / name}" for place in places)
    raise FileNotFoundError(
        f"tfds:{name} is not prepared; looked for it{looked}\n  prepare it once: {remedy(name)}"
    )


def find_tfds(
    name: str, places: Sequence[pathlib.Path], size: Size | None = None
) -> Archive | None:
    """As `read_tfds`, but None where the set is not prepared."""
    for place in places:
        for candidate in (f"gan_mtl_{name}", name) if name in OURS else (name,):
            builder = _builder(candidate, place)
            if builder is not None:
                return _read(builder, name, size)
    return None


def prepare(
    name: str, data_dir: str | os.PathLike[str], files: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Prepares a set for tensorflow-datasets, without TensorFlow.

    Args:
        name: `mnist`, `fashion_mnist` or `cifar10`.
        data_dir: where tensorflow-datasets keeps its sets.
        files: the folder with the published files; None downloads them.

    Returns:
        The folder that was written; `load(name, data_dir)` reads it.

    Raises:
        ValueError: if the name is none of these, or a file is damaged.
        FileNotFoundError: if files are missing from `files`.
    """
    if name not in OURS:
        raise ValueError(
            f"name={name!r}; known without TensorFlow are {', '.join(OURS)}. "
            f"Others need it once: {remedy(name)}"
        )
    from gan_mtl.data.tfds_builders import BUILDERS, tensorflow_datasets

    kind = BUILDERS[name]
    if files is not None:
        missing = kind.MISSING(pathlib.Path(files))
        if missing:
            raise FileNotFoundError(f"{files} has no {', no '.join(missing)}")
    config = tensorflow_datasets.download.DownloadConfig(manual_dir=files)
    builder = kind(data_dir=os.fspath(data_dir), file_format="array_record")
    builder.download_and_prepare(download_config=config)
    return pathlib.Path(builder.data_path)


def remedy(name: str) -> str:
    """The command that prepares a set."""
    if name in OURS:
        return (
            f"""python -c "from gan_mtl.data import prepare; prepare('{name}', 'ROOT')" """.strip()
        )
    return (
        "pip install 'gan_mtl[prepare]' and "
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}', data_dir='ROOT', file_format='array_record')"
        '.download_and_prepare()"'
    )


def _builder(name: str, place: pathlib.Path) -> Any | None:
    """The builder of a prepared set, or None if it is not prepared in `place`."""
    import tensorflow_datasets

    ours = place / name / "1.0.0"
    if name.startswith("gan_mtl_"):
        there = (ours / "dataset_info.json").is_file()
        return tensorflow_datasets.builder_from_directory(ours) if there else None
    try:
        builder = tensorflow_datasets.builder(name, data_dir=place, file_format="array_record")
    except tensorflow_datasets.core.DatasetNotFoundError:
        known = tensorflow_datasets.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean tfds:{near[0]}?" if near else ""
        raise ValueError(f"tensorflow-datasets has no set {name!r}{hint}") from None
    folder = pathlib.Path(builder.data_path)
    if not (folder / "dataset_info.json").is_file():
        return None
    if not any(folder.glob("*.array_record*")):
        raise ValueError(
            f"{folder} is prepared, but not as array_record files, and others need TensorFlow to "
            f"read; prepare it anew into another data directory: {remedy(name)}"
        )
    return builder


def _read(builder: Any, name: str, size: Size | None) -> Archive:
    image, label = _keys(builder.info, name)
    available = set(builder.info.splits)
    wanted = {"train": "train", "test": "test"}
    if "test" not in available and "validation" in available:
        wanted["test"] = "validation"
    if "train" not in available:
        raise ValueError(f"tfds:{name} has splits {sorted(available)}, none of them `train`")
    more = TARGETS.get(re.split("[/:]", name)[0])
    splits = {
        key: _split(
            builder.as_data_source(split), image, label, f"tfds:{name}: {split} ", size, more
        )
        for key, split in wanted.items()
        if split in available
    }
    names = () if label is None else tuple(builder.info.features[label].names)
    return Archive(splits, names)


def _keys(info: Any, name: str) -> tuple[str, str | None]:
    """The names of the image and of the class label among the set's features."""
    features = info.features
    images = [k for k in features if len(getattr(features[k], "shape", ())) == 3]
    labels = [k for k in features if type(features[k]).__name__ == "ClassLabel"]
    keys = info.supervised_keys or ()
    image = next((k for k in (*keys, "image", *images) if k in images), None)
    if image is None:
        raise ValueError(f"tfds:{name} has features {sorted(features)}, none of them an image")
    return image, next((k for k in (*keys, "label", *labels) if k in labels), None)


def _split(
    source: Any, image: str, label: str | None, where: str, size: Size | None, more: Any = None
) -> Split:
    images, labels, targets = [], [], []
    for start in range(0, len(source), _CHUNK):
        rows = source.__getitems__(list(range(start, min(start + _CHUNK, len(source)))))
        images += [row[image] if size is None else resized(row[image], size) for row in rows]
        labels += [-1 if label is None else int(row[label]) for row in rows]
        if more is not None:
            targets += [
                more.targets_of(row, size, f"{where}example {start + i}")
                for i, row in enumerate(rows)
            ]
    shapes = {picture.shape for picture in images}
    if len(shapes) > 1:
        raise ValueError(f"{where}images have sizes {sorted(shapes)[:3]} ...; give `size`")
    split = from_arrays(np.stack(images), np.array(labels), where=where)
    if more is None:
        return split
    stacked = {key: np.stack([found[key] for found in targets]) for key in targets[0]}
    split = split._replace(targets=stacked)
    check_targets(split, more.NUM_CLASSES, where)
    return split
