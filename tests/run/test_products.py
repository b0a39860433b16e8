"""What a cell leaves in its folder: grids by source or class, lines, DONE."""

import json

import numpy as np
import pytest
import regression
from PIL import Image

from gan_mtl import data
from gan_mtl.run import conflicts, products, writers
from gan_mtl.types import Game


def pixels(path):
    return np.asarray(Image.open(path))


def grey(value, count):
    images = np.full((count, 6, 6, 1), value, np.uint8)
    return data.Split(images, np.zeros(count, np.int32))


@pytest.fixture
def joined():
    parts = [
        data.assemble(name, grey(value, count), grey(value, 4), ("c",), source="made")
        for name, value, count in (("dark", 30, 15), ("light", 220, 12))
    ]
    return data.joined("both", parts)


def test_the_reals_of_joined_sets_stand_in_a_column_each(joined, tmp_path):
    products.write_reals(tmp_path, joined)
    picture = pixels(tmp_path / "samples" / "reals.png")[..., 0]
    left, right = np.array_split(picture, 2, axis=1)
    assert (left == 30).any() and not (left == 220).any()
    assert (right == 220).any() and not (right == 30).any()


def test_samples_are_asked_for_by_column(tmp_path):
    asked = []

    def sample(n, labels):
        asked.append(labels)
        return np.tile(labels[:, None, None, None] - 1.0, (1, 4, 4, 1)).astype(np.float32)

    game = Game(lambda key, batch: {}, (), sample=sample, classes=3)
    shown = []
    writer = writers.Writer(lambda *_: None, lambda step, found: shown.append(step), lambda: None)
    products.write_samples(regression.CONFIG, tmp_path, game, sample, writer, 7)
    np.testing.assert_array_equal(asked[0].reshape(10, 3), np.tile([0, 1, 2], (10, 1)))
    assert shown == [7] and (tmp_path / "samples" / "000007.png").exists()


def test_lines_after_a_step_are_dropped_from_every_file(tmp_path):
    for name in products.LINES:
        for step in (1, 2, 3):
            products.append(tmp_path / name, step, {"x": step})
    assert conflicts.FILE in products.LINES
    products.truncate(tmp_path, 2)
    for name in products.LINES:
        assert [row["step"] for row in writers.read_jsonl(tmp_path / name)] == [1, 2]


def test_done_is_whole(tmp_path):
    products.write_done(tmp_path, {"step": 3, "accuracy": 0.5})
    assert json.loads((tmp_path / "DONE").read_text()) == {"step": 3, "accuracy": 0.5}
    assert [path.name for path in tmp_path.iterdir()] == ["DONE"]
