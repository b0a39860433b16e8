"""Text: number words and sums by rule, pictures back to lines, a user's file, bad input."""

import json

import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.data import text


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (200, "two hundred"),
        (310, "three hundred ten"),
        (5000, "five thousand"),
        (9017, "nine thousand seventeen"),
        (7777, "seven thousand seven hundred seventy seven"),
    ],
)
def test_number_words(n, words):
    assert text.number_words(n) == words


def test_the_rules_have_distinct_lines_and_are_true():
    numbers, sums = (text.RULES[name]() for name in ("numbers", "sums"))
    assert len(set(numbers)) == len(set(sums)) == 10_000
    for line in sums[::501]:
        left, right = line.split("=")
        assert sum(map(int, left.split("+"))) == int(right)


def test_pictures_are_read_back_and_a_tenth_is_kept_for_testing():
    found = data.load("text:sums")
    letters = text.alphabet(found)
    assert letters == text.Alphabet(" +0123456789=", 9)
    assert found.train.images.shape == (9000, 9, 13, 1) and found.test.num_examples == 1000
    assert (found.train.images.sum(axis=(2, 3)) == 255).all() and found.num_classes == 0
    lines = [text.decode(split.images, letters) for split in (found.train, found.test)]
    assert {*lines[0], *lines[1]} == set(text.RULES["sums"]())
    again = data.load("text:sums", seed=1)
    assert not np.array_equal(again.test.images, found.test.images)
    json.dumps(found.manifest)
    data.verify(found.manifest, found)


def test_a_user_s_file(tmp_path):
    lines = [f"line {i}" for i in range(20)]
    (tmp_path / "mine.txt").write_text("\n".join([*lines, "", "ä b  "]), encoding="utf-8")
    found = data.load(f"text:{tmp_path / 'mine.txt'}")
    letters = text.alphabet(found)
    assert letters.characters[0] == " " and "ä" in letters.characters and letters.length == 7
    both = np.concatenate([found.train.images, found.test.images])
    assert set(text.decode(both, letters)) == {*lines, "ä b"}


def test_bad_input_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing.*rules are \['numbers', 'sums"):
        data.load(f"text:{tmp_path / 'nothing'}")
    (tmp_path / "short.txt").write_text("a\nb")
    with pytest.raises(ValueError, match="2 lines of up to 1 characters; give at least 10"):
        data.load(f"text:{tmp_path / 'short.txt'}")
    with pytest.raises(ValueError, match=r"outside 0 \.\. 9,999"):
        text.number_words(10_000)
    with pytest.raises(ValueError, match="'digits' is no text"):
        text.alphabet(data.load("digits"))
