"""Pictures follow from the heads' names; what heads say is drawn where they say it."""

import numpy as np
import pytest
from PIL import Image

from gan_mtl.data import Dataset, Split
from gan_mtl.run import drawings, predictions
from gan_mtl.types import Game

N, SIDE, K = 9, 16, 3
RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (N, SIDE, SIDE, 1)).astype(np.uint8)


def targets():
    objects = np.zeros((N, 2, 5), np.float32)
    objects[:, 0] = 4, 4, 12, 12, 1
    objects[:, 1, 4] = -1
    return {
        "present": np.tile(np.array([0, 1, 0], np.int32), (N, 1)),
        "objects": objects,
        "mask": RNG.integers(0, K, (N, SIDE, SIDE)).astype(np.uint8),
        "depth": np.ones((N, SIDE, SIDE), np.float32),
    }


def dataset(**wanted):
    split = Split(IMAGES, np.zeros(N, np.int32), wanted)
    return Dataset("scene", split, split, K, ("a", "b", "c"), {})


def game(*heads):
    return Game(init=lambda key, batch: {}, turns=(), predict=dict.fromkeys(heads))


SHAPES = {
    "presence": (K,),
    "detection": (8, 8, K + 4),
    "segmentation": (SIDE, SIDE, K),
    "reconstruction": (SIDE, SIDE, 1),
    "depth": (SIDE, SIDE, 1),
}


def test_heads_are_drawn_by_their_names_where_there_are_targets():
    every = game(*SHAPES, "class", "features")
    assert predictions.drawn(every, dataset(**targets())) == list(SHAPES)
    some = {k: v for k, v in targets().items() if k != "mask"}
    assert "segmentation" not in predictions.drawn(every, dataset(**some))
    assert predictions.drawn(game("class"), dataset(**targets())) == []


def test_a_file_for_every_head(tmp_path):
    asked = []

    def predict(name, images):
        asked.append(len(images))
        return np.zeros((len(images), *SHAPES[name]), np.float32)

    data = dataset(**targets())
    paths = predictions.write(tmp_path, game(*SHAPES), predict, data, (-1.0, 1.0), "step 3")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"predictions/{name}.png" for name in SHAPES
    ]
    rows = {"presence": 1, "detection": 2, "segmentation": 4, "reconstruction": 3, "depth": 4}
    for path in paths:
        with Image.open(path) as picture:
            width, height = picture.size
        assert width > predictions.SHOWN * drawings.SIDE
        assert height // drawings.SIDE == rows[path.stem]
    assert set(asked) == {N}  # a whole batch, as the evaluation has compiled it


@pytest.fixture(scope="module")
def shown():
    return predictions.Shown(IMAGES[:2], {k: v[:2] for k, v in targets().items()}, "abc", (-1, 1))


def test_boxes_that_are_said_stand_beside_the_true_ones(shown):
    """The first image has its object found, the second nothing."""
    outputs = np.full((2, 8, 8, K + 4), -9.0, np.float32)
    outputs[0, 4, 4, 1:] = 4.0, -9.0, 0.0, 0.0, 4.0, 4.0  # logits of 1, 2; offset; size
    rows = predictions.detection(shown, outputs)
    canvas = drawings.enlarged(shown.images)
    true, found = rows.pictures[:2], rows.pictures[2:]
    right = np.s_[80:96, 32:96]  # below the texts
    np.testing.assert_array_equal(found[0][right], true[0][right])
    assert (found[0][right] != canvas[0][right]).any()
    np.testing.assert_array_equal(found[1], canvas[1])


def test_pixels_that_are_wrong_are_marked_unless_ignored(shown):
    mask = shown.targets["mask"].copy()
    logits = np.eye(K)[mask]
    logits[0, 3, 5] = np.roll(logits[0, 3, 5], 1)
    logits[1, 2, 2] = np.roll(logits[1, 2, 2], 1)
    mask[1, 2, 2] = 255
    rows = predictions.segmentation(shown._replace(targets={"mask": mask}), logits)
    factor = drawings.SIDE // SIDE
    faults = (rows.pictures[6:] == np.array(drawings.WRONG)).all(axis=-1)[:, ::factor, ::factor]
    assert np.argwhere(faults).tolist() == [[0, 3, 5]]


def test_a_perfect_reconstruction_and_depth_differ_nowhere(shown):
    exact = shown.images / 127.5 - 1
    rows = predictions.reconstruction(shown, exact)
    np.testing.assert_array_equal(rows.pictures[:2], rows.pictures[2:4])
    assert not rows.pictures[4:].any()
    true = np.linspace(1, 3, 2 * SIDE * SIDE).reshape(2, SIDE, SIDE)
    true[0, 0, 0] = np.nan
    said = np.log(np.nan_to_num(true, nan=2.0))[..., None]
    rows = predictions.depth(shown._replace(targets={"depth": true}), said)
    assert not rows.pictures[6:][1].any() and rows.pictures[6, 0, 0].any()  # unknown, marked


def test_tags_that_are_not_there_are_red(shown):
    right, wrong = (predictions.presence(shown, np.array([x] * 2)) for x in ([-1, 1, -1], [1] * 3))
    none = predictions.presence(shown, np.array([[-1.0] * 3] * 2))
    red = [
        (p[:, drawings.SIDE :, :, 0].astype(int) - p[:, drawings.SIDE :, :, 1] > 100).any()
        for p in (right.pictures, wrong.pictures, none.pictures)
    ]
    assert red == [False, True, True]


def test_what_a_game_repairs_stands_below_what_was_damaged(tmp_path):
    damaged = np.where(np.arange(SIDE)[:, None, None] < 8, IMAGES / 255, 0.0).astype(np.float32)
    outputs = {"noise/damaged": damaged, "noise/repaired": (IMAGES / 255).astype(np.float32)}
    played = game("noise/damaged", "noise/hole", "noise/repaired")
    assert predictions.repaired(played) == ["noise"]
    (path,) = predictions.write(
        tmp_path, played, lambda name, images: outputs[name], dataset(), (0.0, 1.0)
    )
    assert path.name == "repaired-noise.png"
    rows = predictions._repairs(
        predictions.Shown(IMAGES[:2], {}, (), (0.0, 1.0)), [x[:2] for x in outputs.values()]
    )
    assert rows.labels == ("image", "damaged", "repaired")
    whole, below, mended = np.split(rows.pictures, 3)
    np.testing.assert_array_equal(whole, mended)
    half = whole.shape[1] // 2
    np.testing.assert_array_equal(whole[:, :half], below[:, :half])
    assert not below[:, half:].any()
