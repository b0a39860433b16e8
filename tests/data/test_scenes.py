"""Scenes of digits: boxes and masks of what is painted, who may take part, and what is refused."""

import importlib

import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.data import Layout, catalogue, digit_scenes, scenes
from gan_mtl.data.arrays import Split

PLAIN = Layout(count=(1, 1), side=(20, 20), brightness=(255, 255), fragments=0, noise=0)


def bars(count, value=255):
    """White bars, 12 x 6 pixels within 28 x 28; ten classes."""
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, 8:20, 10:16] = value
    return Split(images, (np.arange(count) % 10).astype(np.int32))


@pytest.fixture(scope="module")
def small():
    return data.load("digit_scenes_small")


def tight(pixels):
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_a_bar_is_where_its_box_and_mask_say():
    found = scenes(bars(30), 10, 50, 0, "train", PLAIN)
    for image, label, objects, mask, present in zip(
        found.images[..., 0], found.labels, *found.targets.values(), strict=True
    ):
        x0, y0, x1, y1, c = objects[0].astype(int)
        assert (x1 - x0, y1 - y0) == (10, 20) and c == label
        expected = np.zeros((64, 64), bool)
        expected[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(image, expected * 255)
        np.testing.assert_array_equal(mask, expected * (c + 1))
        assert present.tolist() == [int(k == c) for k in range(10)]
    assert len(np.unique(found.targets["objects"][:, 0, 0])) > 15, "they lie everywhere"


def test_sizes_types_and_names(small):
    assert (small.train.num_examples, small.test.num_examples) == (2000, 500)
    assert small.num_classes == 10 and small.label_names[3] == "3"
    for split in (small.train, small.test):
        n = split.num_examples
        forms = {name: (x.dtype.name, x.shape) for name, x in split.targets.items()}
        assert forms == {
            "objects": ("float32", (n, 4, 5)),
            "mask": ("uint8", (n, 64, 64)),
            "present": ("int32", (n, 10)),
        }
        assert split.images.shape == (n, 64, 64, 1)
    data.verify(small.manifest, small)


def test_targets_agree_with_each_other(small):
    objects, mask, present = (small.train.targets[name] for name in ("objects", "mask", "present"))
    real = objects[..., 4] >= 0
    counts = real.sum(1)
    assert set(counts) == {1, 2, 3, 4} and (np.bincount(counts)[1:] > 250).all()
    assert (np.diff(real.astype(int), axis=1) <= 0).all(), "objects first, then padding"
    for i in range(300):
        rows = objects[i, : counts[i]]
        classes = rows[:, 4].astype(int)
        assert set(np.flatnonzero(present[i])) == set(classes) == set(np.unique(mask[i])[1:] - 1)
        for row in rows:
            if (classes == row[4]).sum() == 1:
                assert tight(mask[i] == row[4] + 1) == row[:4].tolist()
        area = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
        assert small.train.labels[i] == classes[area.argmax()]


def test_sides_and_overlap_keep_their_bounds(small):
    objects = small.train.targets["objects"]
    sides = objects[..., 2:4] - objects[..., :2]
    longer = sides.max(-1)[objects[..., 4] >= 0]
    assert longer.max() == 34 and 14 <= np.median(longer) <= 34 and (longer < 12).mean() < 0.01
    apart = scenes(data.load("digits").test, 10, 300, 0, "test", Layout(overlap=0.0))
    boxes = apart.targets["objects"]
    a, b = boxes[:, :, None, :4], boxes[:, None, :, :4]
    shared = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0)
    shared = shared.prod(-1)[:, ~np.eye(4, dtype=bool)]
    assert (shared == 0).all()


def test_the_later_digit_has_the_pixel():
    covering = PLAIN._replace(canvas=20, count=(2, 2), overlap=1.0)
    squares = bars(30)._replace(images=np.full((30, 8, 8, 1), 255, np.uint8))
    found = scenes(squares, 10, 40, 0, "train", covering)
    assert (found.targets["objects"][:, 0, :4] == (0, 0, 20, 20)).all()
    assert (found.targets["objects"][:, 1] == (0, 0, 0, 0, -1)).all(), "nothing of it can be seen"
    assert (found.targets["present"].sum(1) == 1).all()
    assert (found.targets["mask"] == found.labels[:, None, None] + 1).all()
    one = covering._replace(overlap=0.0)
    left_out = scenes(squares, 10, 40, 0, "train", one)
    assert (left_out.targets["objects"][:, 1, 4] == -1).all() and (left_out.labels >= 0).all()


def test_clutter_is_darker_than_digits_and_no_object():
    digits = data.load("digits").test
    found = scenes(digits, 10, 40, 0, "test", Layout(count=(0, 1)))
    empty = found.labels == -1
    assert 5 < empty.sum() < 35
    assert (found.targets["objects"][empty] == (0, 0, 0, 0, -1)).all()
    assert not found.targets["mask"][empty].any() and not found.targets["present"][empty].any()
    assert 60 < found.images[empty].max() <= 150, "fragments are there, and no digit"
    bare = scenes(digits, 10, 40, 0, "test", Layout(count=(0, 1), fragments=0))
    assert bare.images[bare.labels == -1].max() == 40
    np.testing.assert_array_equal(bare.targets["mask"], found.targets["mask"])


def test_a_scene_is_the_same_whatever_their_number(monkeypatch):
    digits = data.load("digits").test
    monkeypatch.setattr(importlib.import_module("gan_mtl.data.scenes"), "CHUNK", 16)
    few, many = (scenes(digits, 10, n, 3, "test") for n in (5, 40))
    np.testing.assert_array_equal(few.images, many.images[:5])
    for name, values in few.targets.items():
        np.testing.assert_array_equal(values, many.targets[name][:5])
    assert len(np.unique(many.images.reshape(40, -1), axis=0)) == 40, "no chunk repeats another"


def test_it_is_named_by_its_seed():
    digits = data.load("digits")
    one, same, other = (digit_scenes("x", digits, s, train=20, test=10) for s in (0, 0, 1))
    assert one.manifest == same.manifest != other.manifest
    assert one.train.images[:10].tolist() != one.test.images.tolist()


def test_splits_share_no_digit():
    """What the test scenes hold does not depend on the training digits, and the other way round."""
    digits = data.load("digits")
    changed = digits._replace(train=bars(20))
    one, other = (digit_scenes("x", d, 0, train=20, test=20) for d in (digits, changed))
    same, differing = one.manifest["splits"], other.manifest["splits"]
    assert same["test"] == differing["test"] and same["train"] != differing["train"]


def test_the_manifest_is_pinned():
    found = digit_scenes("x", data.load("digits"), 0, train=40, test=10)
    assert found.manifest["splits"]["train"]["targets_sha256"] == {
        "objects": "5b05511daa730081e8254869849e7ed33f6941ebb8841696975f85877d776608",
        "mask": "6fb7c09d3e14baa67fed21053554994635f814492a6169ae39e3aaa6a4ff2cd8",
        "present": "8f953168c3a582eca5dec67f97a107ae14a0a73ebc52bf6232210775f0d4aec8",
    }
    images = [split["images_sha256"] for split in found.manifest["splits"].values()]
    assert images == [
        "ffc224c4cb7c1750c0e9ca6d269746f45e22269b21df6d65849e91aa0579348d",
        "766916d822572630cc97a064d72f0af96d8787767045e545a8357f66b5804cc8",
    ]


def test_resized_with_its_targets():
    digits = data.load("digits")
    found = digit_scenes("x", digits, 0, size=32, train=20, test=10)
    whole = digit_scenes("x", digits, 0, train=20, test=10)
    np.testing.assert_array_equal(
        found.train.targets["objects"][..., :4], whole.train.targets["objects"][..., :4] / 2
    )
    assert found.train.images.shape == (20, 32, 32, 1) and found.test.targets["mask"].shape[1] == 32
    data.check_targets(found.train, {"objects": 10, "mask": 11, "present": 10})


def test_parts_and_few_labels(small):
    carved = data.with_validation(small, 0.1, seed=0)
    assert carved.validation.targets["mask"].shape == (200, 64, 64)
    few = data.with_labels(carved, 5, seed=0)
    assert len(few.train.visible) == 50
    half = data.with_fraction(few, 0.5, seed=1)
    data.verify(half.manifest, half)
    batch = data.stream(half.train, 8, seed=0).batch(3)
    assert batch["objects"].shape == (8, 4, 5) and batch["mask"].dtype == np.uint8


def test_scenes_of_mnist(real, monkeypatch):
    root = real("mnist")
    monkeypatch.setitem(catalogue.SCENES, "digit_scenes", ("mnist", 50, 20))
    found = data.load("digit_scenes", root)
    assert found.train.num_examples == 50 and found.test.images.shape == (20, 64, 64, 1)
    assert found.manifest["splits"]["test"]["targets_sha256"]["objects"].startswith(
        "519b0db30ef5b004"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": (2, 1)}, r"count=\(2, 1\); take \(least, most\) digits"),
        ({"count": (0, 0)}, r"count=\(0, 0\)"),
        ({"side": (14, 65)}, r"side=\(14, 65\) on canvas=64"),
        ({"side": (4, 20)}, "from 8 to the side of the canvas"),
        ({"overlap": 1.5}, "overlap=1.5; take a part of the smaller one, 0 .. 1"),
        ({"brightness": (200, 300)}, r"brightness=\(200, 300\); take"),
        ({"fragment_brightness": (9, 3)}, r"fragment_brightness=\(9, 3\)"),
        ({"noise": 256}, "noise=256"),
        ({"fragments": -1}, "fragments=-1"),
    ],
)
def test_layouts_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        scenes(bars(10), 10, 5, 0, "train", Layout(**change))


def test_digits_that_cannot_be():
    hidden = data.hide_labels(bars(10), np.arange(4))
    with pytest.raises(ValueError, match="image 4 has no visible label"):
        scenes(hidden, 10, 5, 0, "train")
    colour = bars(10)._replace(images=np.zeros((10, 28, 28, 3), np.uint8))
    with pytest.raises(ValueError, match="one channel and 1 to 254 classes, not of 3 and 10"):
        scenes(colour, 10, 5, 0, "train")
    with pytest.raises(ValueError, match="image 0 has no value above 100"):
        scenes(bars(10, value=90), 10, 5, 0, "train")
    with pytest.raises(ValueError, match="count=0; take 1 scene or more"):
        scenes(bars(10), 10, 0, 0, "train")
    with pytest.raises(FileNotFoundError, match="mnist: its files were not found"):
        data.load("digit_scenes", "/nowhere")
