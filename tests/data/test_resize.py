import numpy as np
import pytest
from PIL import Image, ImageOps

from gan_mtl.data.arrays import Split
from gan_mtl.data.resize import height_width, resize, resized, resized_masks, resized_objects

EMPTY = [0, 0, 0, 0, -1]


def test_same_size_is_untouched(toy):
    assert resize(toy, 4) is toy


def test_constant_images_stay_constant(toy):
    found = resize(toy, (8, 6))
    assert found.images.shape == (40, 8, 6, 1)
    np.testing.assert_array_equal(found.images[:, 0, 0, 0], np.arange(40))
    assert (found.images == found.images[:, :1, :1]).all()


def test_centre_crop_before_resizing():
    image = np.zeros((4, 8, 1), np.uint8)
    image[:, 2:6] = 200  # the middle square
    assert (resized(image, 4) == 200).all()


def test_channels_do_not_mix():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 1] = 255
    found = resize(Split(image[None], np.zeros(1, np.int32)), 7).images[0]
    assert (found[..., 1] == 255).all() and (found[..., [0, 2]] == 0).all()


@pytest.mark.parametrize("size", [0, -1, (3,), (3, 0), (1, 2, 3), (2.5, 2)])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size="):
        height_width(size)


@pytest.mark.parametrize("old", [(12, 12), (9, 16), (17, 10)])
@pytest.mark.parametrize("new", [(6, 6), (5, 8), (24, 20), (7, 4)])
def test_masks_take_the_nearest_pixel_of_the_same_crop(old, new):
    mask = np.random.default_rng(0).integers(0, 12, old, np.uint8)
    found = resized_masks(mask[None], new)
    kept = ImageOps.fit(Image.fromarray(mask), new[::-1], method=Image.Resampling.NEAREST)
    np.testing.assert_array_equal(found[0], np.asarray(kept))


@pytest.mark.parametrize("old", [(40, 40), (30, 60), (50, 20)])
@pytest.mark.parametrize("new", [(40, 40), (20, 20), (60, 80), (30, 15)])
def test_boxes_stay_around_what_they_were_around(old, new):
    """A filled rectangle goes the same way as its box, to one pixel; so does its mask."""
    x0, y0, x1, y1 = old[1] // 4, old[0] // 3, old[1] - 2, old[0] - 5
    image = np.zeros((1, *old, 1), np.uint8)
    image[:, y0:y1, x0:x1] = 255
    objects = np.array([[[x0, y0, x1, y1, 2]]], np.float32)
    split = Split(
        image, np.zeros(1, np.int32), {"objects": objects, "mask": (image[..., 0] // 255)}
    )
    found = resize(split, new)
    assert found.images.shape[1:3] == found.targets["mask"].shape[1:] == new
    for seen in (found.images[0, ..., 0] > 127, found.targets["mask"][0] > 0):
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(found.targets["objects"][0, 0, :4], tight, atol=1)
    assert found.targets["objects"].dtype == np.float32 and found.targets["mask"].dtype == np.uint8


def test_boxes_are_cut_at_the_edge_and_go_with_what_they_hold():
    objects = np.array(
        [[[0, 0, 2, 4, 0], [1, 1, 4, 3, 1], [6, 0, 8, 4, 2], EMPTY], [EMPTY] * 4], np.float32
    )
    found = resized_objects(objects, (4, 8), 8)  # keeps columns 2 .. 6, and doubles
    assert found.tolist() == [[[0, 2, 4, 6, 1], EMPTY, EMPTY, EMPTY], [EMPTY] * 4]


def test_present_loses_classes_with_their_last_box():
    objects = np.array([[[0, 0, 1, 4, 0], [3, 0, 5, 4, 1], [7, 0, 8, 4, 1]]], np.float32)
    present = np.array([[1, 1, 1]], np.int32)  # class 2 is there without a box
    split = Split(np.zeros((1, 4, 8, 1), np.uint8), np.zeros(1, np.int32), {"present": present})
    assert resize(split, 4).targets["present"].tolist() == [[1, 1, 1]]
    split = split._replace(targets={"present": present, "objects": objects})
    assert resize(split, 4).targets["present"].tolist() == [[0, 1, 1]]
    assert resize(split, (2, 4)).targets["present"].tolist() == [[1, 1, 1]]


def test_other_targets_stay_and_those_like_images_are_refused(toy):
    kept = toy._replace(targets={"left": toy.labels, "vector": np.zeros((40, 4), np.float32)})
    assert list(resize(kept, 8).targets) == ["left", "vector"]
    flow = toy._replace(targets={"flow": np.zeros((40, 4, 4, 1), np.float32)})
    assert resize(flow, 4) is flow
    with pytest.raises(ValueError, match=r"target 'flow' has the height and width.*size=None"):
        resize(flow, 8)


def test_depths_are_those_of_the_nearest_pixel():
    """Never a mean of two surfaces, nor of one and what is unknown."""
    depth = np.array([[1, 2, 9, 0], [3, np.nan, 9, 9]], np.float32)[None]
    split = Split(np.zeros((1, 2, 4, 1), np.uint8), np.zeros(1, np.int32), {"depth": depth})
    found = resize(split, (4, 8)).targets["depth"]
    np.testing.assert_array_equal(found, depth.repeat(2, axis=1).repeat(2, axis=2))
    cropped = resize(split, 2).targets["depth"]
    np.testing.assert_array_equal(cropped, depth[:, :, 1:3])
    assert found.dtype == np.float32


def test_hidden_objects_stay_hidden():
    """Not an image without objects, which would teach that there are none."""
    hidden = np.zeros((2, 2, 5), np.float32)
    hidden[..., 4] = -2
    np.testing.assert_array_equal(resized_objects(hidden, (4, 8), 8), hidden)
