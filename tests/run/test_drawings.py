"""What is drawn is where it should be, pixel by pixel; nothing else is changed."""

import numpy as np

from gan_mtl.run import drawings

RNG = np.random.default_rng(6)
IMAGES = RNG.integers(0, 256, (2, 6, 8, 1)).astype(np.uint8)


def test_classes_have_colours_of_their_own():
    colours = drawings.class_colours(30)
    assert colours.shape == (30, 3) and colours[0].tolist() == [0, 0, 0]
    assert len({tuple(c) for c in colours.tolist()}) == 30
    np.testing.assert_array_equal(drawings.class_colours(3), colours[:3])
    assert drawings.class_colours(1).tolist() == [[0, 0, 0]]


def test_enlarging_repeats_pixels():
    found = drawings.enlarged(IMAGES, 16)
    assert found.shape == (2, 12, 16, 3)
    for c in range(3):
        np.testing.assert_array_equal(found[:, ::2, ::2, c], IMAGES[..., 0])
        np.testing.assert_array_equal(found[:, 1::2, 1::2, c], IMAGES[..., 0])
    assert drawings.enlarged(IMAGES, 4).shape == (2, 6, 8, 3)


def test_masks_tint_and_leave_out_what_is_ignored():
    masks = np.zeros((2, 6, 8), np.uint8)
    masks[0, :3], masks[1] = 2, 255
    found = drawings.with_masks(IMAGES, masks, 0.25)
    colour = drawings.class_colours(3)[2]
    expected = np.rint(0.75 * IMAGES[0, :3] + 0.25 * colour[None, None])
    np.testing.assert_array_equal(found[0, :3], expected)
    np.testing.assert_array_equal(found[1], np.broadcast_to(IMAGES[1], (6, 8, 3)))


def test_faults_are_red_and_the_rest_is_pale():
    wrong = RNG.random((2, 6, 8)) < 0.3
    found = drawings.with_faults(IMAGES, wrong)
    assert (found[wrong] == np.array(drawings.WRONG)).all()
    rest = found[~wrong]
    assert rest.min() >= 160 and (np.ptp(rest, axis=1) == 0).all()


def test_heat_is_red_where_it_is_and_smooth_between():
    heat = np.array([[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = drawings.with_heat(np.full((2, 8, 8, 3), 100, np.uint8), heat).astype(int)
    assert (found[1] == 70).all()
    redness = found[0, ..., 0] - found[0, ..., 1]
    assert redness[0, 0] == 0 and redness[7, 7] == redness.max() > 100
    assert (np.diff(redness, axis=0) >= 0).all() and (np.diff(redness, axis=1) >= 0).all()


def test_shades_go_from_black_to_white_and_name_the_unknown():
    values = np.array([[[1.0, 2.0, 3.0, 9.0, np.nan]]])
    found = drawings.shades(values, 1.0, 3.0)[0, 0]
    assert found[:4].tolist() == [[0] * 3, [128] * 3, [255] * 3, [255] * 3]
    assert len(set(found[4].tolist())) == 3
    assert drawings.shades(np.ones((1, 1, 1)), 1.0, 1.0).tolist() == [[[[0, 0, 0]]]]


def test_frames_stand_at_the_edges_of_boxes():
    """Half open: the last pixel of a box is one before its end. An empty list draws nothing."""
    canvas = np.zeros((2, 64, 64, 3), np.uint8)
    boxes = [np.array([[2.0, 3.0, 14.0, 15.0]]), np.zeros((0, 4))]
    classes = [np.array([1]), np.zeros(0, int)]
    found = drawings.with_boxes(canvas, boxes, classes, [["1"], []], factor=4)
    colour = drawings.class_colours(3)[2]
    rows, columns = np.nonzero(found[0].any(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 59, 8, 55)
    for line in (found[0, 59, 8:56], found[0, 30:60, 8], found[0, 30:60, 55]):
        np.testing.assert_array_equal(line, np.broadcast_to(colour, line.shape))
    assert not found[0, 40:57, 11:53].any() and not found[1].any()


def test_false_tags_are_red():
    canvas = np.zeros((1, 20, 60, 3), np.uint8)
    found = drawings.with_tags(canvas, [[[("3", True), ("7", False)], [("3", True)]]])
    assert found.shape == (1, 20 + 2 * drawings.LINE, 60, 3) and not found[0, :20].any()
    first, second = found[0, 20 : 20 + drawings.LINE], found[0, 20 + drawings.LINE :]
    red = lambda x: (x[..., 0].astype(int) - x[..., 1] > 100).any()  # noqa: E731
    assert red(first) and not red(second) and (second < 100).any()
