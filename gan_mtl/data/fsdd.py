"""Spoken digits: 3,000 recordings of 6 speakers, 50 of every digit, as 8-bit pictures.

Free Spoken Digit Dataset, Z. Jackson and contributors,
https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0: 8 kHz, 16 bits, one channel,
0.14 to 2.28 s. Read from `fsdd.npz` with the members `samples` int16 (all recordings one after
another), `offsets` (recording i is samples[offsets[i] : offsets[i + 1]]), `digit`, `speaker`,
`index` (the take, 0 .. 49), `speaker_names` and `sample_rate`.

Every recording is divided by its largest absolute sample, since loudness differs sevenfold between
speakers, and becomes a picture of one of three kinds (`VIEWS`):

    fsdd         [32, 32, 1]     log-mel, time stretched to 32 columns: to tell digits apart
    fsdd_padded  [64, 64, 1]     log-mel of the first 1.024 s, silence after the end: goes back to a
                                 wave by `audio.waves(VIEWS["fsdd_padded"].front_end, ...)`
    fsdd_waves   [8192, 1, 1]    the wave itself, mu-law (`audio.expand` undoes it)

Labels are digits; the target `speaker` is 0 .. 5, in the order of `SPEAKERS`.

The publisher's split tests on takes 0 to 4 of every speaker and digit (300), so that every speaker
is trained on: it is easy, and says nothing of a new speaker. `NAME:theo` leaves a speaker out:
train on the other five's training takes (2,250), validate on their test takes (250), test on that
speaker's (50). `NAME:only-theo` is that speaker alone (450 and 50), and `NAME:not-theo` the others
alone (2,250 and 250): two domains, as `joined:fsdd:not-theo+fsdd:only-theo` has them side by side.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import pathlib
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_mtl import audio
from gan_mtl.audio import FrontEnd
from gan_mtl.data.arrays import Split, take
from gan_mtl.data.convert import from_arrays, to_uint8

FILE = "fsdd.npz"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SPEAKER = "speaker"  # the target
TEST_TAKES = 5
ONLY, NOT = "only-", "not-"
_MEMBERS = ("samples", "offsets", "digit", "speaker", "index", "speaker_names", "sample_rate")
_CHUNK = 250  # recordings worked on at a time


class View(NamedTuple):
    """How a recording becomes a picture.

    kind: "stretched" and "padded" log-mel pictures, or the "wave".
    front_end: of log-mel pictures; None for waves.
    length: columns of a stretched picture, samples of the others.
    """

    kind: Literal["stretched", "padded", "wave"]
    front_end: FrontEnd | None
    length: int


VIEWS = {
    "fsdd": View("stretched", FrontEnd(hop=64, mels=32), 32),
    "fsdd_padded": View("padded", FrontEnd(), 8192),
    "fsdd_waves": View("wave", None, 8192),
}


def describe(view: View) -> dict[str, Any]:
    """For a manifest: all that makes a view, and the hash of it."""
    front_end = view.front_end
    said = {
        "kind": view.kind,
        "length": view.length,
        "front_end": None if front_end is None else front_end._asdict(),
        "front_end_sha256": None if front_end is None else audio.digest(front_end),
    }
    text = json.dumps([said["kind"], said["length"], said["front_end_sha256"]])
    return {**said, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def missing_files(place: pathlib.Path) -> list[str]:
    """Which files are not in `place`; empty if it can be read."""
    return [] if (place / FILE).is_file() else [FILE]


def check_part(name: str) -> None:
    """Raises ValueError unless a speaker follows the colon, or `only-` or `not-` and a speaker."""
    base, _, part = name.partition(":")
    if _speaker(part) not in SPEAKERS:
        raise ValueError(
            f"{name!r}: there is no speaker {_speaker(part)!r}; give {base}:NAME to leave one out, "
            f"{base}:{ONLY}NAME for one alone, or {base}:{NOT}NAME for the others alone, of "
            f"{', '.join(SPEAKERS)}"
        )


def _speaker(part: str) -> str:
    return part.removeprefix(ONLY if part.startswith(ONLY) else NOT)


def read_folder(place: pathlib.Path, view: View, part: str = "") -> dict[str, Split]:
    """The splits `train`, `test` and, where a speaker is left out, `validation`.

    Args:
        place: where the archive lies.
        view: what recordings become.
        part: "" for the publisher's split, a speaker's name to leave out, or "only-" or "not-" and
            a name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or is not the archive described above.
    """
    found = _members(place / FILE)
    waves = _recordings(found)
    images = pictures(view, waves)
    speakers = found["speaker"].astype(np.int32)
    split = from_arrays(images, found["digit"], num_classes=10, where=f"{place / FILE}: ")
    split = split._replace(targets={SPEAKER: speakers})
    tested = found["index"] < TEST_TAKES
    if not part:
        return _parts(split, train=~tested, test=tested)
    chosen = speakers == SPEAKERS.index(_speaker(part))
    others = ~chosen
    if part.startswith((ONLY, NOT)):
        seen = chosen if part.startswith(ONLY) else others
        return _parts(split, train=seen & ~tested, test=seen & tested)
    return _parts(split, train=others & ~tested, validation=others & tested, test=chosen & tested)


def pictures(view: View, waves: Sequence[Float[np.ndarray, " m"]]) -> UInt8[np.ndarray, "n h w 1"]:
    """8-bit pictures of recordings of any length, worked out in float64."""
    if view.kind == "stretched":
        assert view.front_end is not None
        found = np.stack([_stretched(view.front_end, wave, view.length) for wave in waves])
        return to_uint8(audio.to_pictures(view.front_end, found), -1.0, 1.0)
    chunks = []
    for start in range(0, len(waves), _CHUNK):
        whole = np.stack([_fitted(wave, view.length) for wave in waves[start : start + _CHUNK]])
        if view.front_end is None:
            shown = audio.compress(whole)[..., None, None]
        else:
            shown = audio.pictures(view.front_end, whole)
        chunks.append(to_uint8(np.asarray(shown), -1.0, 1.0))
    return np.concatenate(chunks)


def _parts(split: Split, **chosen: np.ndarray) -> dict[str, Split]:
    return {name: take(split, np.flatnonzero(mask)) for name, mask in chosen.items()}


def _fitted(wave: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples, zeros after the last."""
    wave = wave[:length]
    return np.pad(wave, (0, length - len(wave)))


def _stretched(front_end: FrontEnd, wave: np.ndarray, columns: int) -> np.ndarray:
    """A log-mel spectrum [mels, columns]."""
    whole = -(-len(wave) // front_end.hop) * front_end.hop
    return stretched(np.asarray(audio.log_mel(front_end, _fitted(wave, whole))), columns)


def stretched(
    spectra: Float[np.ndarray, "*n mels m"], columns: int
) -> Float[np.ndarray, "*n mels columns"]:
    """Time made longer or shorter: linearly between the columns that there are."""
    count = spectra.shape[-1]
    at = ((np.arange(columns) + 0.5) * count / columns - 0.5).clip(0, count - 1)
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, count - 1)
    share = (at - left).astype(spectra.dtype)
    return spectra[..., left] * (1 - share) + spectra[..., right] * share


def _recordings(found: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Waves in float64, each with the largest absolute value 1."""
    samples, offsets = found["samples"].astype(np.float64), found["offsets"]
    waves = [samples[a:b] for a, b in itertools.pairwise(offsets)]
    return [wave / max(np.abs(wave).max(), 1.0) for wave in waves]


def _members(path: pathlib.Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            absent = sorted(set(_MEMBERS) - set(archive.files))
            found = {} if absent else {name: archive[name] for name in _MEMBERS}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no NumPy archive, or is damaged: {error}") from error
    if absent:
        raise ValueError(f"{path} has no member {', no '.join(absent)}; it is not {FILE}")
    _check(found, path)
    return found


def _check(found: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Raises ValueError for members that do not fit together."""
    names, n = tuple(str(name) for name in found["speaker_names"]), len(found["digit"])
    if names != SPEAKERS or int(found["sample_rate"]) != 8000:
        raise ValueError(
            f"{path} has the speakers {names} at {found['sample_rate']} Hz; it should have "
            f"{SPEAKERS} at 8000 Hz"
        )
    offsets = found["offsets"]
    fits = len(offsets) == n + 1 and offsets[-1] == len(found["samples"])
    if not fits or (np.diff(offsets) < 1).any():
        raise ValueError(
            f"{path}: offsets are of {len(offsets) - 1} recordings and end at {offsets[-1]}, for "
            f"{n} digits and {len(found['samples'])} samples; each recording needs a sample or more"
        )
    for name in ("speaker", "index"):
        if len(found[name]) != n:
            raise ValueError(f"{path}: {name} has {len(found[name])} entries for {n} digits")
    if found["speaker"].max(initial=0) >= len(SPEAKERS):
        raise ValueError(f"{path}: a speaker is {found['speaker'].max()}, outside 0 .. 5")
