"""Data sets by name, wherever their files lie."""

from __future__ import annotations

import difflib
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gan_mtl.data import camvid, cifar, folder, fsdd, idx, manifest, npz, tfds
from gan_mtl.data.arrays import Dataset, Split, carve
from gan_mtl.data.binarised import binarised
from gan_mtl.data.derived import WORDS, check_word, derived
from gan_mtl.data.digits import digits
from gan_mtl.data.joined import joined
from gan_mtl.data.npz import Archive
from gan_mtl.data.overlaid import overlaid
from gan_mtl.data.resize import Size, height_width, resize
from gan_mtl.data.scenes import digit_scenes
from gan_mtl.data.stacked import stacked
from gan_mtl.data.text import text_set

VARIABLE = "GAN_MTL_DATA"
TEST_FRACTION = 0.2  # held out where the user gives no test split

FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DIGIT_NAMES = tuple(str(c) for c in range(10))


class Published(NamedTuple):
    """How a named set is found and read.

    missing: `folder -> names of the files that are not there`, empty if it can be read.
    read: `folder -> splits`.
    folders: where to look below the data directory, in this order.
    tfds: whether tensorflow-datasets is tried when there are no files.
    front_end: what makes pictures of something else, for the manifest.
    resizable: whether pictures of another size are still what they are said to be.
    """

    missing: Callable[[pathlib.Path], list[str]]
    read: Callable[[pathlib.Path], dict[str, Split]]
    label_names: tuple[str, ...]
    folders: tuple[str, ...]
    tfds: bool = False
    front_end: dict[str, Any] | None = None
    resizable: bool = True


def _archive(file: str, value_range: tuple[float, float] | None = None) -> dict[str, Any]:
    def missing(place: pathlib.Path) -> list[str]:
        return [] if (place / file).is_file() else [file]

    def read(place: pathlib.Path) -> dict[str, Split]:
        return npz.read_npz(place / file, value_range).splits

    return {"missing": missing, "read": read}


PUBLISHED = {
    "mnist": Published(
        idx.missing_files, idx.read_folder, DIGIT_NAMES, ("mnist", "MNIST/raw", "."), tfds=True
    ),
    "fashion_mnist": Published(
        idx.missing_files,
        idx.read_folder,
        FASHION_NAMES,
        ("fashion_mnist", "FashionMNIST/raw", "."),
        tfds=True,
    ),
    "cifar10": Published(
        cifar.missing_files, cifar.read_folder, cifar.LABEL_NAMES, ("cifar10", "."), tfds=True
    ),
    "usps": Published(
        **_archive("usps.npz", npz.USPS_RANGE), label_names=DIGIT_NAMES, folders=("usps", ".")
    ),
    "mnist_m": Published(
        **_archive("mnist_m_28.npz"), label_names=DIGIT_NAMES, folders=("mnist_m", ".")
    ),
    "cifar10_subset": Published(
        **_archive("cifar10_subset.npz"),
        label_names=cifar.LABEL_NAMES,
        folders=("cifar10_subset", "."),
    ),
    "camvid": Published(  # no label a picture: the target `mask` has the classes
        camvid.missing_files, camvid.read_folder, camvid.LABEL_NAMES, ("camvid", ".")
    ),
    **{
        name: Published(
            fsdd.missing_files,
            functools.partial(fsdd.read_folder, view=view),
            DIGIT_NAMES,
            ("fsdd", "."),
            front_end=fsdd.describe(view),
            resizable=view.kind == "stretched",
        )
        for name, view in fsdd.VIEWS.items()
    },
}
OVERLAID = {  # two classifications of one picture: the sets at the top left and bottom right
    "multimnist": ("mnist", "mnist"),
    "multi_fashion_mnist": ("mnist", "fashion_mnist"),
}
BINARISED = {  # one seeded draw of every pixel, black or white
    "binarised_mnist": "mnist",
    "binarised_fashion_mnist": "fashion_mnist",
}
STACKED = {"stacked_mnist": "mnist"}  # three pictures as the channels of one: 1000 modes
SCENES = {  # digits with boxes and masks: of which set, and how many scenes to train and to test
    "digit_scenes": ("mnist", 20_000, 2_000),
    "digit_scenes_small": ("digits", 2_000, 500),
}
JOINED = "joined"  # joined:NAME+NAME: several sets, one source a task
OWN = ("folder", "npz", "tfds", "text", JOINED, *WORDS)

# sha256 of the published test labels: these files have the same names and must not be mixed up
_TEST_LABELS = {
    "mnist": "52aa149c856ca033d02e1d2e5cc61033b4c56ed4a56f0edc328206a178c42126",
    "fashion_mnist": "53fdd09ed9cbcd893df0e3b0af7802f2d62457de11c87273d4b4186f4992a40c",
}


def names() -> tuple[str, ...]:
    """What `load` takes."""
    made = (*OVERLAID, *BINARISED, *STACKED, *SCENES)
    return ("digits", *PUBLISHED, *made, *(f"{kind}:..." for kind in OWN))


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    size: Size | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads a data set into memory, all labels visible.

    Args:
        name: one of `names()`: a known set, `folder:PATH`, `npz:PATH`, `tfds:NAME`, `text:NAME`
            (lines as pictures; see `text`), or `joined:NAME+NAME` for several of them side by side.
            Of spoken digits some speakers may be taken: `fsdd:theo` leaves one out,
            `fsdd:only-theo` has one alone; see `fsdd`. Words before a name change the set:
            `colour:NAME`, `part:N:NAME`, `plain:NAME`; see `derived`.
        data_dir: holds one folder a set, or the files themselves; None takes the environment
            variable GAN_MTL_DATA. Not used for `digits`, `digit_scenes_small`, `folder:`, `npz:`.
        size: side, or (height, width), to which images are resized, and masks and boxes with them;
            None keeps theirs.
        seed: of the test split where the publisher or the user gives none, of the partners of
            overlaid pictures, of binarised ones, of parts, of stacked digits and scenes. Leave it
            at 0 to compare runs: it has nothing to do with the seed of a run or of a label draw.

    Returns:
        The data set with its manifest.

    Raises:
        ValueError: if the name is unknown (with the nearest known one), or a file is damaged.
        FileNotFoundError: if files are missing: what was looked for, where, and what to do.
    """
    if size is not None:
        height_width(size)
    kind, colon, path = name.partition(":")
    if name == "digits":
        return digits(seed, size)
    if colon and kind in fsdd.VIEWS:
        fsdd.check_part(name)
        return _published(name, data_dir, size, seed)
    if name in PUBLISHED:
        return _published(name, data_dir, size, seed)
    if name in OVERLAID:
        left, right = (_published(one, data_dir, None, seed) for one in OVERLAID[name])
        return overlaid(name, left, right, seed, size or 28)
    if name in BINARISED:
        return binarised(name, _published(BINARISED[name], data_dir, None, seed), seed, size)
    if name in STACKED:
        return stacked(name, _published(STACKED[name], data_dir, None, seed), seed, size)
    if name in SCENES:
        source, train, test = SCENES[name]
        found = load(source, data_dir, None, seed)
        return digit_scenes(name, found, seed, size, train=train, test=test)
    if not (colon and kind in OWN and path):
        raise ValueError(_unknown(name))
    if kind in WORDS:
        argument, rest = check_word(name)
        return derived(name, argument, load(rest, data_dir, size, seed), seed)
    if kind == "text":
        if size is not None:
            raise ValueError(f"{name}: size={size}, but lines have a length of their own; leave it")
        return text_set(name, path, seed)
    if kind == JOINED:
        return joined(name, [load(one, data_dir, size, seed) for one in path.split("+")])
    if kind == "tfds":
        archive, source = tfds.read_tfds(path, _tfds_places(data_dir), size), name
        return _divided(name, archive, source, size, seed)
    place = pathlib.Path(path).expanduser()
    archive = folder.read_folder(place, size) if kind == "folder" else npz.read_npz(place)
    return _divided(f"{kind}:{place.name}", archive, str(place), size, seed)


def _published(
    name: str, data_dir: str | os.PathLike[str] | None, size: Size | None, seed: int
) -> Dataset:
    """Published files first, then what tensorflow-datasets has prepared."""
    entry, root = _entry(name), _root(data_dir)
    if size is not None and not entry.resizable:
        raise ValueError(
            f"{name}: size={size}, but its pictures go back to waves in their own size only; take "
            "size=None"
        )
    places = [] if root is None else [root / sub for sub in entry.folders]
    for place in places:
        if place.is_dir() and not entry.missing(place):
            splits = entry.read(place)
            _check_identity(name, splits, place)
            archive = Archive(splits, entry.label_names)
            return _divided(name, archive, str(place), size, seed, entry.front_end)
    if entry.tfds:
        archive = tfds.find_tfds(name, _tfds_places(data_dir))
        if archive is not None:
            archive = archive._replace(label_names=entry.label_names)
            return _divided(name, archive, f"tfds:{name}", size, seed)
    raise FileNotFoundError(_not_found(name, entry, places, _tfds_places(data_dir)))


def _entry(name: str) -> Published:
    """Of a known set, or of some speakers of one: `fsdd:theo`."""
    base, _, part = name.partition(":")
    if not part:
        return PUBLISHED[name]
    read = functools.partial(fsdd.read_folder, view=fsdd.VIEWS[base], part=part)
    return PUBLISHED[base]._replace(read=read)


def _divided(
    name: str,
    archive: Archive,
    source: str,
    size: Size | None,
    seed: int,
    front_end: dict[str, Any] | None = None,
) -> Dataset:
    """A data set of an archive's splits; a test split is drawn if there is none."""
    splits = dict(archive.splits)
    drawn = "test" not in splits
    if drawn:
        whole = splits.pop("train", None) or splits.pop("all")
        if whole.num_examples < 5:
            raise ValueError(
                f"{name} has {whole.num_examples} images and no test split; give at least 5, "
                "or a test split of its own"
            )
        splits["train"], splits["test"] = carve(whole, TEST_FRACTION, seed)
    if size is not None:
        splits = {key: resize(split, size) for key, split in splits.items()}
    return manifest.assemble(
        name,
        splits["train"],
        splits["test"],
        archive.label_names,
        source=source,
        seed=seed if drawn else None,
        validation=splits.get("validation"),
        front_end=front_end,
    )


def _root(data_dir: str | os.PathLike[str] | None) -> pathlib.Path | None:
    given = data_dir or os.environ.get(VARIABLE)
    return pathlib.Path(given).expanduser() if given else None


def _tfds_places(data_dir: str | os.PathLike[str] | None) -> list[pathlib.Path]:
    root = _root(data_dir)
    own = [] if root is None else [root, root / "tensorflow_datasets"]
    return [*own, pathlib.Path("~/tensorflow_datasets").expanduser()]


def _check_identity(name: str, splits: dict[str, Split], place: pathlib.Path) -> None:
    found = manifest.digest(splits["test"].labels)
    for other, known in _TEST_LABELS.items():
        if found == known and other != name:
            raise ValueError(
                f"{name}: the files in {place} are those of {other}; give the folder of {name}, "
                f"or a data directory that holds {name}/ and {other}/"
            )


def _unknown(name: str) -> str:
    kind = name.split(":", 1)[0]
    if kind in OWN:
        what = {"folder": "PATH", "npz": "PATH", "tfds": "NAME", JOINED: "NAME+NAME"}
        what |= {"text": "NAME or text:PATH"}
        what = what.get(kind, "NAME" if kind != "part" else "N:NAME")
        return f"data {name!r} lacks what follows the colon; give {kind}:{what}"
    near = difflib.get_close_matches(name.lower(), [*names(), *OWN], n=1)
    guess = f"{near[0]}:..." if near and near[0] in OWN else "".join(near)
    hint = f"; did you mean {guess!r}?" if near else ""
    return f"unknown data set {name!r}{hint} (known: {', '.join(names())})"


def _not_found(
    name: str, entry: Published, places: list[pathlib.Path], tfds_places: list[pathlib.Path]
) -> str:
    wanted = entry.missing(pathlib.Path(os.devnull) / "none")
    lines = [f"{name}: its files were not found", f"  looked for {', '.join(wanted)}"]
    for place in places:
        there = sorted(set(wanted) - set(entry.missing(place)))
        state = f"(has {', '.join(there)} only)" if there else ""
        lines.append(f"    in {place} {state or ('' if place.is_dir() else '(no such folder)')}")
    if not places:
        lines.append(f"    nowhere: neither a data directory nor {VARIABLE} is set")
    if entry.tfds:
        lines.append("  looked for a set prepared by tensorflow-datasets")
        lines += [f"    in {place / name}" for place in tfds_places]
    lines.append(
        f"  put the files into ROOT/{entry.folders[0]}/ and give --data-dir ROOT (data_dir=ROOT), "
        f"or set {VARIABLE}=ROOT"
    )
    if entry.tfds:
        lines.append(f"  or prepare them once: {tfds.remedy(name)}")
    return "\n".join(line.rstrip() for line in lines)
