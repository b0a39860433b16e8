"""Lines of text as pictures: a row per character, a column per letter of the alphabet, one white.

`text:numbers` are the English words of 0 .. 9,999, `text:sums` all sums of two numbers below 100,
both written by rule, so that any line can be checked; `text:PATH` has the lines of a file. Lines
are filled up with spaces to the length of the longest. There are no labels. Which alphabet and
which length stands in the manifest, and `decode` reads pictures back.
"""

from __future__ import annotations

import hashlib
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_mtl.data import manifest, order
from gan_mtl.data.arrays import HIDDEN, Dataset, Split

_BELOW_13 = "zero one two three four five six seven eight nine ten eleven twelve"
_TEENS = ("thir", "four", "fif", "six", "seven", "eigh", "nine")
ONES = (*_BELOW_13.split(" "), *(f"{start}teen" for start in _TEENS))
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TEST_FRACTION = 0.1
LONGEST = 128


def number_words(n: int) -> str:
    """English words of 0 .. 9,999, without "and" and hyphens.

    Example:
        >>> number_words(7042)
        'seven thousand forty two'
    """
    if not 0 <= n < 10_000:
        raise ValueError(f"number_words: n={n} is outside 0 .. 9,999")
    if n < 20:
        return ONES[n]
    for size, word in ((1000, "thousand"), (100, "hundred")):
        if n >= size:
            head, rest = divmod(n, size)
            return " ".join([number_words(head), word, *([number_words(rest)] if rest else [])])
    tens, rest = divmod(n, 10)
    return " ".join([TENS[tens - 2], *([ONES[rest]] if rest else [])])


def _numbers() -> list[str]:
    return [number_words(n) for n in range(10_000)]


def _sums() -> list[str]:
    return [f"{a}+{b}={a + b}" for a, b in itertools.product(range(100), repeat=2)]


RULES: dict[str, Callable[[], list[str]]] = {"numbers": _numbers, "sums": _sums}


class Alphabet(NamedTuple):
    """The characters that lines are of, the space first, and the length of a line."""

    characters: str
    length: int

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        text = f"{self.characters}/{self.length}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        return {"kind": "text", **self._asdict(), "sha256": digest}


def alphabet_of(lines: Sequence[str]) -> Alphabet:
    """The alphabet of lines, in the order of code points."""
    return Alphabet("".join(sorted(set(" ").union(*lines))), max(map(len, lines)))


def alphabet(dataset: Dataset) -> Alphabet:
    """The alphabet of a data set of text.

    Raises:
        ValueError: for a data set of something else.
    """
    found = dataset.manifest.get("front_end") or {}
    if found.get("kind") != "text":
        raise ValueError(f"{dataset.name!r} is no text; take text:numbers, text:sums or text:PATH")
    return Alphabet(found["characters"], found["length"])


def encode(lines: Sequence[str], letters: Alphabet) -> UInt8[np.ndarray, "n length letters 1"]:
    """Pictures of lines of the alphabet: 255 where a row's character is, 0 elsewhere."""
    place = {c: i for i, c in enumerate(letters.characters)}
    codes = [[place[c] for c in line.ljust(letters.length)] for line in lines]
    return 255 * np.eye(len(place), dtype=np.uint8)[np.asarray(codes)][..., None]


def decode(pictures: Float[np.ndarray, "n length letters 1"], letters: Alphabet) -> list[str]:
    """The lines that pictures of any range show, spaces at the end cut off."""
    codes = np.asarray(pictures)[..., 0].argmax(axis=2)
    return ["".join(letters.characters[i] for i in line).rstrip() for line in codes]


def text_set(name: str, argument: str, seed: int = 0) -> Dataset:
    """A data set of lines, a tenth of them, drawn by `seed`, in its test split.

    Args:
        name: as the catalogue knows it.
        argument: a name in `RULES`, or the path of a UTF-8 file with one line an example.

    Raises:
        FileNotFoundError: if there is neither.
        ValueError: for fewer than ten lines, or one of more than 128 characters.
    """
    if argument in RULES:
        lines, source = RULES[argument](), "generated"
    else:
        path = pathlib.Path(argument).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"data {name!r}: there is no file {path}, and the rules are {sorted(RULES)}"
            )
        lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
        lines, source = [line for line in lines if line], str(path)
    letters = alphabet_of(lines or [""])
    if len(lines) < 10 or letters.length > LONGEST:
        raise ValueError(
            f"data {name!r}: {len(lines)} lines of up to {letters.length} characters; give at "
            f"least 10, of at most {LONGEST}"
        )
    mixed = order.permutation(len(lines), seed, "text")
    count = max(1, round(TEST_FRACTION * len(lines)))
    test, train = (
        _split([lines[i] for i in np.sort(part)], letters)
        for part in (mixed[:count], mixed[count:])
    )
    described = letters.describe()
    return manifest.assemble(name, train, test, (), source=source, seed=seed, front_end=described)


def _split(lines: list[str], letters: Alphabet) -> Split:
    return Split(encode(lines, letters), np.full(len(lines), HIDDEN, np.int32))
