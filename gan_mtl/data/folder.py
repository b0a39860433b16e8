"""The user's own pictures: `folder:PATH`, PNG or JPEG, a class per sub-folder.

    PATH/cat/*.png  PATH/dog/*.jpg             classes cat, dog; the test split is drawn by seed
    PATH/train/cat/...  PATH/test/cat/...      the user's own splits (`val` or `validation` too)
    PATH/*.png                                 no labels

Classes are numbered in the order of their names (as numbers if all are numbers), files in the order
of theirs. Grey stays grey if every picture is; otherwise all become RGB. Transparency is laid on
white. The camera's orientation tag is obeyed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_mtl.data.arrays import HIDDEN, Split
from gan_mtl.data.npz import Archive
from gan_mtl.data.resize import Size, fit, height_width

SUFFIXES = (".png", ".jpg", ".jpeg")
_SPLITS = {"train": "train", "test": "test", "val": "validation", "validation": "validation"}


def read_folder(path: str | pathlib.Path, size: Size | None = None) -> Archive:
    """Reads all pictures below a folder into memory.

    Args:
        path: the folder.
        size: (height, width) or the side of a square, to which every picture is cropped and resized
            (see `resize`); None takes them as they are, all of one size.

    Returns:
        Splits `all`, or `train`, `test` and `validation` as found; and the class names.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        ValueError: if sizes are mixed and `size` is None, a picture cannot be read, or pictures lie
            beside class folders.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    folders = {p.name: p for p in _subfolders(path)}
    if "train" in folders and set(folders) <= set(_SPLITS):
        parts = {_SPLITS[name]: place for name, place in folders.items()}
    else:
        parts = {"all": path}
    files = {key: _by_class(place) for key, place in parts.items()}
    names = _class_names(files, path)
    listed = {key: _listed(found, names) for key, found in files.items()}
    images = _load([file for found in listed.values() for file, _ in found], size)
    splits, start = {}, 0
    for key, found in listed.items():
        labels = np.array([label for _, label in found], np.int32)
        splits[key] = Split(images[start : start + len(found)], labels)
        start += len(found)
    return Archive(splits, names)


def _subfolders(place: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def list_pictures(place: str | pathlib.Path) -> list[pathlib.Path]:
    """Every PNG and JPEG below a folder, by relative path; hidden files are left out."""
    place = pathlib.Path(place)
    found = (p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    visible = (p for p in found if not any(q.startswith(".") for q in p.relative_to(place).parts))
    return sorted(visible, key=lambda p: p.relative_to(place).as_posix())


def _by_class(place: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Pictures by class name; the one class "" where there are no sub-folders."""
    loose = [p for p in sorted(place.iterdir()) if p.is_file() and p.suffix.lower() in SUFFIXES]
    loose = [p for p in loose if not p.name.startswith(".")]
    classes = {p.name: list_pictures(p) for p in _subfolders(place)}
    classes = {name: files for name, files in classes.items() if files}
    if loose and classes:
        raise ValueError(
            f"{place} holds pictures ({loose[0].name}, ...) beside class folders "
            f"({', '.join(sorted(classes)[:5])}); move them into a class, or the folders away"
        )
    if not loose and not classes:
        raise FileNotFoundError(f"{place} holds no pictures; looked for {', '.join(SUFFIXES)}")
    return classes or {"": loose}


def _class_names(
    files: dict[str, dict[str, list[pathlib.Path]]], path: pathlib.Path
) -> tuple[str, ...]:
    reference = next(key for key in ("train", "all") if key in files)
    names = set(files[reference])
    for key, found in files.items():
        unknown = sorted(set(found) - names)
        if unknown:
            raise ValueError(
                f"{path}: {key} has {unknown[0] or 'pictures without a class'!r}, "
                f"which {reference} has not; its classes are {sorted(names)}"
            )
    numbers = all(name.isdecimal() for name in names)
    ordered = sorted(names, key=(lambda name: (int(name), name)) if numbers else None)
    return () if names == {""} else tuple(ordered)


def _listed(
    found: dict[str, list[pathlib.Path]], names: Sequence[str]
) -> list[tuple[pathlib.Path, int]]:
    if not names:
        return [(file, HIDDEN) for file in found[""]]
    return [(file, c) for c, name in enumerate(names) for file in found.get(name, [])]


def _load(files: list[pathlib.Path], size: Size | None) -> np.ndarray:
    """All pictures as uint8 [n, h, w, c]."""
    wanted = None if size is None else height_width(size)
    pictures, first = [], None
    for file in files:
        picture = open_picture(file)
        picture = picture if wanted is None else fit(picture, wanted)
        first = first or picture.size
        if picture.size != first:
            raise ValueError(
                f"{file} is {picture.size[1]} x {picture.size[0]} (height x width), and {files[0]} "
                f"is {first[1]} x {first[0]}; give `size` to crop and resize them all"
            )
        pictures.append(picture)
    colour = any(picture.mode == "RGB" for picture in pictures)
    if colour:
        return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return np.stack([np.asarray(picture) for picture in pictures])[..., None]


def open_picture(file: str | pathlib.Path) -> Image.Image:
    """One picture, upright, as 8-bit grey (mode L) or colour (mode RGB).

    Raises:
        ValueError: if it cannot be read, naming the file.
    """
    try:
        with Image.open(file) as raw:
            picture = ImageOps.exif_transpose(raw)
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{file} cannot be read as a picture ({error}); mend or remove it"
        ) from None
    if picture.mode.startswith("I"):  # 16 bits a pixel; convert() would clip it
        wide = np.asarray(picture).astype(np.int64)
        return Image.fromarray(((wide * 255 + 32767) // 65535).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        grey = picture.mode in ("LA", "La", "L")
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture).convert("L" if grey else "RGB")
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    return picture.convert("RGB")
