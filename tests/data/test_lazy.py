import sys

import numpy as np
import pytest
from PIL import Image

from gan_mtl.data.arrays import draw_labels, hide_labels
from gan_mtl.data.lazy import Pictures, Records, lazy_stream, prefetch
from gan_mtl.data.stream import stream

SETTINGS = {"labelled_batch_size": 4, "repeats": 2, "value_range": (0.0, 1.0)}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype
        np.testing.assert_array_equal(a[key], b[key])


@pytest.mark.parametrize("hidden", [True, False])
def test_same_batches_as_in_memory(toy, hidden):
    split = hide_labels(toy, draw_labels(toy.labels, 2, seed=0)) if hidden else toy
    memory = stream(split, 6, 3, **SETTINGS)
    lazy = lazy_stream(split.images, 6, 3, labels=split.labels, **SETTINGS)
    assert lazy.arrays is None and lazy.examples_per_step == 12
    for step in (0, 5, 70):
        same(memory.batch(step), lazy.batch(step))


def test_without_labels(toy):
    assert set(lazy_stream(toy.images, 6, 3).batch(0)) == {"images"}


def test_shards_together_are_the_batch(toy):
    whole = stream(toy, 6, 3, **SETTINGS).batch(7)
    parts = [
        lazy_stream(toy.images, 6, 3, labels=toy.labels, shard=(i, 2), **SETTINGS).batch(7)
        for i in range(2)
    ]
    same(whole, {key: np.concatenate([part[key] for part in parts]) for key in whole})


def test_errors(toy):
    with pytest.raises(ValueError, match="batch_size=5 times repeats=1 is no multiple of the 2"):
        lazy_stream(toy.images, 5, 0, shard=(0, 2))
    with pytest.raises(ValueError, match="labels has 39 entries and the source 40 images"):
        lazy_stream(toy.images, 5, 0, labels=toy.labels[1:])


@pytest.mark.parametrize("colour", [True, False])
def test_pictures(tmp_path, colour):
    files = [tmp_path / f"{i}.png" for i in range(4)]
    for i, file in enumerate(files):
        Image.new("L", (5 + i, 4), 10 * i).save(file)
    source = Pictures(files, size=4, colour=colour)
    assert len(source) == 4 and source[2].shape == (4, 4, 3 if colour else 1)
    batch = lazy_stream(source, 4, 0, value_range=(0.0, 255.0)).batch(0)
    assert sorted(batch["images"][:, 0, 0, 0].tolist()) == [0, 10, 20, 30]


def test_records():
    class Source:
        def __len__(self):
            return 3

        def __getitems__(self, rows):
            return [{"image": np.full((4 + i, 4, 1), i, np.uint8)} for i in rows]

    source = Records(Source(), size=4)
    assert len(source) == 3 and source[1].shape == (4, 4, 1)
    assert [int(image.max()) for image in source.__getitems__([2, 0])] == [2, 0]
    assert Records(Source())[2].shape == (6, 4, 1)


def test_prefetch_changes_nothing(toy):
    pytest.importorskip("grain", reason="Grain is an extra")
    source = stream(toy, 6, 3)
    batches = prefetch(source, start=5, threads=2, ahead=3)
    for expected in range(5, 15):
        step, batch = next(batches)
        assert step == expected
        same(batch, source.batch(step))


def test_prefetch_without_grain(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ImportError, match=r"pip install 'gan_mtl\[grain\]'"):
        next(prefetch(stream(toy, 6, 3)))
