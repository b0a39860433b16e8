"""Pieces of a page: escaped, inlined, short."""

import math

import numpy as np
import pytest

from gan_mtl.run import images, page


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (0.123456, "0.1235"), (math.nan, "-"), (None, "-"), ("x", "-"), (True, "-")],
)
def test_numbers_are_short(value, text):
    assert page.short(value) == text


def test_every_cell_is_escaped():
    text = page.table(["<a>"], [["b & c"]]) + page.pairs({"<d>": "<e>"})
    assert not any(f"<{name}>" in text for name in "ade")
    assert "b &amp; c" in text and "&lt;d&gt;" in text


def test_nested_fields_go_by_dotted_paths():
    assert page.flat({"a": {"b": 1, "c": {}}, "d": "e"}) == {"a.b": "1", "a.c": "{}", "d": "e"}


def test_pictures_are_inlined(tmp_path):
    path = images.write_png(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert 'src="data:image/png;base64,' in page.figure(path, "a & b")
