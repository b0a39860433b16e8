"""Boxes, masks and tags: what is accepted, and the message for what is not."""

import numpy as np
import pytest

from gan_mtl.data import check_targets, hide_targets
from gan_mtl.data.arrays import Split
from gan_mtl.losses import centres, segmentation
from gan_mtl.metrics import detection

EMPTY = (0, 0, 0, 0, -1)


def split_of(**targets):
    return Split(np.zeros((2, 6, 8, 1), np.uint8), np.full(2, -1, np.int32), targets)


def boxes(*rows):
    """Two examples of two rows each: the given rows, then padding."""
    rows = [*rows, *[EMPTY] * (4 - len(rows))]
    return np.array(rows, np.float32).reshape(2, 2, 5)


def test_what_is_good_passes():
    mask = np.zeros((2, 6, 8), np.uint8)
    mask[0, :5] = 255
    mask[1] = 2
    present = np.array([[1, 0, 0], [0, 0, 0]], np.int32)
    good = {"objects": boxes((0, 0, 8, 6, 2), (7.5, 0, 8, 0.5, 0)), "mask": mask}
    check_targets(split_of(**good, present=present, other=np.zeros((2, 3))), 3)
    check_targets(split_of(**good), {"objects": 3, "mask": 3})
    check_targets(split_of(), 3)


def test_pictures_without_objects_are_no_error():
    check_targets(split_of(objects=boxes()), 3)
    check_targets(split_of(objects=np.zeros((2, 0, 5), np.float32)), 3)


def test_unknown_objects_are_no_error_where_all_of_a_picture_are():
    unknown = (0, 0, 0, 0, -2)
    check_targets(split_of(objects=boxes(EMPTY, EMPTY, unknown, unknown)), 3)
    with pytest.raises(ValueError, match=r"example 1 has -1.0 .*-2 \(unknown\) is in all rows"):
        check_targets(split_of(objects=boxes(EMPTY, EMPTY, unknown, EMPTY)), 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            (-1, 0, 2, 2, 0),
            r"'objects': example 1 has \[-1.0, .* at \[0\]; a box lies in 0 .. 8 ac",
        ),
        ((0, 0, 9, 2, 0), "0 .. 8 across and 0 .. 6 down, in pixels; clip it"),
        ((0, 0, 2, 6.5, 0), "0 .. 6 down"),
        ((3, 0, 3, 2, 0), "give x0 < x1 and y0 < y1"),
        ((3, 2, 4, 1, 0), "give x0 < x1 and y0 < y1"),
        ((0, 0, 2, 2, 3), r"class: example 1 has 3.0 at \[0\]; give a whole class 0 .. 2, or -1"),
        ((0, 0, 2, 2, -2), "-2 .unknown. is in all rows of a picture or in none"),
        ((0, 0, 2, 2, -3), "has -3.0"),
        ((0, 0, 2, 2, 0.5), "has 0.5"),
        ((0, 0, np.nan, 2, 0), "has nan .*finite"),
        ((0, 0, 2, 2, -1), "give zeros where the class is -1"),
    ],
)
def test_bad_objects(row, message):
    with pytest.raises(ValueError, match=message):
        check_targets(split_of(objects=boxes(EMPTY, EMPTY, row)), 3)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (np.zeros((2, 2, 5)), r"has dtype float64; give float32: x.astype\(np.float32\)"),
        (np.zeros((2, 2, 4), np.float32), r"shape \[2, 2, 4\]; give \[2, M, 5\]"),
        (np.zeros((3, 2, 5), np.float32), r"give \[2, M, 5\]"),
        (np.zeros((2, 5), np.float32), r"give \[2, M, 5\]"),
    ],
)
def test_objects_of_another_form(objects, message):
    with pytest.raises(ValueError, match=message):
        check_targets(split_of(objects=objects), 3)


def test_bad_masks():
    mask = np.zeros((2, 6, 8), np.uint8)
    mask[1, 2, 3] = 3
    message = (
        r"^camvid: train target 'mask': example 1 has 3 at \[2, 3\]; give a class 0 .. 2, or 255"
    )
    with pytest.raises(ValueError, match=message):
        check_targets(split_of(mask=mask), 3, "camvid: train ")
    with pytest.raises(ValueError, match=r"shape \[2, 6, 7\]; give \[2, 6, 8\], for the examples"):
        check_targets(split_of(mask=mask[:, :, 1:]), 4)
    with pytest.raises(ValueError, match=r"dtype int32; give uint8"):
        check_targets(split_of(mask=mask.astype(np.int32)), 4)
    with pytest.raises(ValueError, match=r"num_classes=256; take 1 .. 255"):
        check_targets(split_of(mask=mask), 256)


def test_a_number_of_classes_for_each_target():
    with pytest.raises(ValueError, match="has no number for 'mask'"):
        check_targets(split_of(mask=np.zeros((2, 6, 8), np.uint8)), {"objects": 3})


def test_a_mask_without_a_pixel_that_counts():
    mask = np.zeros((2, 6, 8), np.uint8)
    mask[1] = 255
    with pytest.raises(
        ValueError, match=r"'mask': example 1 is 255 \(ignore\) at every pixel.*out"
    ):
        check_targets(split_of(mask=mask), 3)


def test_depths():
    """Unknown pixels are fine, in whatever way they are written; an image of them is not."""
    depth = np.full((2, 6, 8), np.nan, np.float32)
    depth[:, 0, :4] = 0, -1, np.inf, 2.5
    check_targets(split_of(depth=depth), {})
    with pytest.raises(ValueError, match=r"'depth' has dtype float64; give float32"):
        check_targets(split_of(depth=depth.astype(np.float64)), 3)
    with pytest.raises(ValueError, match=r"'depth' has shape \[2, 6, 7\]; give \[2, 6, 8\]"):
        check_targets(split_of(depth=depth[..., 1:]), 3)
    depth[1, 0, 3] = 0
    with pytest.raises(ValueError, match=r"a\.npz: target 'depth': example 1 has no pixel of a"):
        check_targets(split_of(depth=depth), 3, "a.npz: ")


def test_bad_tags():
    with pytest.raises(ValueError, match=r"'present': example 1 has 2 at \[0\]; give 1 where"):
        check_targets(split_of(present=np.array([[0, 1], [2, 0]], np.int32)), 2)
    with pytest.raises(ValueError, match=r"'present' has shape \[2, 2\]; give \[2, 3\]"):
        check_targets(split_of(present=np.zeros((2, 2), np.int32)), 3)


def test_hidden_targets_are_gone_and_the_others_stay():
    """Whatever they were: two splits that differ in hidden ones only become equal."""
    mask = np.arange(2 * 6 * 8, dtype=np.uint8).reshape(2, 6, 8) % 3
    full = split_of(
        objects=boxes((0, 0, 8, 6, 2), EMPTY, (1, 1, 3, 3, 0)),
        mask=mask,
        present=np.array([[0, 0, 1], [1, 0, 0]], np.int32),
        depth=np.arange(1, 97, dtype=np.float32).reshape(2, 6, 8),
    )
    for name, nothing in (("objects", -2), ("mask", 255), ("present", -1), ("depth", 0)):
        hidden = hide_targets(full, name, np.array([1]))
        other = {**full.targets, name: np.roll(full.targets[name], 1, axis=0)}
        other[name][1] = full.targets[name][1]
        again = hide_targets(full._replace(targets=other), name, np.array([1]))
        for key, values in hidden.targets.items():
            np.testing.assert_array_equal(values, again.targets[key])
            if key != name:
                np.testing.assert_array_equal(values, full.targets[key])
        np.testing.assert_array_equal(hidden.targets[name][1], full.targets[name][1])
        seen = hidden.targets[name][0]
        assert np.all((seen[:, 4] if name == "objects" else seen) == nothing)
    assert centres.HIDDEN_OBJECTS == detection.UNKNOWN == -2  # what losses and scores leave out
    assert segmentation.IGNORE == 255


def test_what_cannot_be_hidden_is_refused_by_name():
    split = split_of(angle=np.zeros((2, 3), np.float32), mask=np.zeros((2, 6, 8), np.uint8))
    with pytest.raises(ValueError, match=r"target 'boxes' is not one of \['angle', 'mask'\]"):
        hide_targets(split, "boxes", np.array([0]))
    with pytest.raises(ValueError, match="target 'angle' of dtype float32 has no value"):
        hide_targets(split, "angle", np.array([0]))
    with pytest.raises(ValueError, match=r"visible_indices holds 2; the split has"):
        hide_targets(split, "mask", np.array([0, 2]))
