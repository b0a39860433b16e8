"""Orders of examples as pure functions of a key: no generator is carried from step to step.

NumPy promises that the raw words of a bit generator never change, and promises nothing of the kind
for `permutation` or `choice`. Orders are therefore sorts of raw Philox words: the same on every
machine and under every NumPy, so that a split or a label draw can be named by its seed.
"""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Int, UInt64


def words(n: int, seed: int, tag: str, index: int = 0) -> UInt64[np.ndarray, " n"]:
    """`n` random 64-bit words that depend on (seed, tag, index) and nothing else.

    Args:
        n: how many words.
        seed: 0 or more.
        tag: what is drawn, so that two draws of one seed have nothing in common.
        index: which of many draws of that kind (an epoch, a class).

    Raises:
        ValueError: if `seed` is negative or does not fit 64 bits.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed={seed} is outside 0 .. 2**64 - 1; take a non-negative integer")
    key = np.array([seed, zlib.crc32(tag.encode())], np.uint64)
    counter = np.array([0, 0, 0, index], np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(n)


def permutation(n: int, seed: int, tag: str, index: int = 0) -> Int[np.ndarray, " n"]:
    """A permutation of 0 .. n - 1, int64, that depends on (n, seed, tag, index) only."""
    return np.argsort(words(n, seed, tag, index), kind="stable")


def spread(
    labels: Int[np.ndarray, " n"], seed: int, tag: str, index: int = 0
) -> Int[np.ndarray, " n"]:
    """A permutation in which every stretch holds the classes in their overall proportions.

    The k-th of the m examples of a class gets a random place in [k / m, (k + 1) / m). With classes
    of equal size each round of `num_classes` consecutive examples holds one of each class.
    """
    place = np.empty(len(labels))
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        rank = permutation(len(members), seed, f"{tag}/rank", _fold(index, int(c)))
        place[members] = rank / len(members)
    width = 1.0 / np.unique(labels, return_counts=True)[1]
    width = width[np.searchsorted(np.unique(labels), labels)]
    jitter = (words(len(labels), seed, f"{tag}/place", index) >> np.uint64(11)) * 2.0**-53
    return np.argsort(place + jitter * width, kind="stable")


def _fold(index: int, c: int) -> int:
    """One index for a pair; classes are -1 .. 2**20 - 2."""
    return (index << 20) + c + 1
