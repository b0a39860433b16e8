import numpy as np
import pytest
from PIL import Image

from gan_mtl.run import images
from gan_mtl.run.images import BACKGROUND, GAP, grid, write_png


def cell(picture, row, column, size):
    top, left = GAP + row * (size + GAP), GAP + column * (size + GAP)
    return picture[top : top + size, left : left + size]


def test_small_images_are_enlarged_without_smoothing():
    values = np.linspace(-1, 1, 3 * 64).reshape(3, 8, 8, 1).astype(np.float32)
    picture = grid(values, 2, (-1, 1))
    assert picture.dtype == np.uint8 and picture.shape == (2 * 50 + GAP, 2 * 50 + GAP, 3)
    for i in range(3):
        found = cell(picture, i // 2, i % 2, 48)
        small = found[::6, ::6]
        np.testing.assert_array_equal(found, small.repeat(6, 0).repeat(6, 1))
        expected = np.rint((values[i] + 1) / 2 * 255)
        np.testing.assert_array_equal(small, np.broadcast_to(expected, (8, 8, 3)))
    assert (cell(picture, 1, 1, 48) == BACKGROUND).all()
    assert (picture[:GAP] == BACKGROUND).all() and (picture[:, :GAP] == BACKGROUND).all()


@pytest.mark.parametrize(("size", "shown"), [(8, 48), (28, 56), (32, 64), (48, 48), (64, 64)])
def test_integer_factors(size, shown):
    picture = grid(np.zeros((1, size, size, 1), np.uint8), 1)
    assert picture.shape == (shown + 2 * GAP, shown + 2 * GAP, 3)


def test_colour_and_uint8_are_kept():
    values = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    picture = grid(values, 3)
    for i in range(4):
        np.testing.assert_array_equal(cell(picture, i // 3, i % 3, 64), values[i])


def test_beyond_the_range_and_beyond_numbers():
    values = np.zeros((1, 48, 48, 1))
    values[0, 0, :4, 0] = [-7, 7, np.nan, np.inf]
    found = cell(grid(values, 1, (0, 2)), 0, 0, 48)
    assert found[0, :4].tolist() == [[0] * 3, [255] * 3, [255, 0, 255], [255, 0, 255]]
    assert found[1:].max() == 0


def test_more_columns_than_images():
    assert grid(np.zeros((2, 48, 48, 1), np.uint8), 10).shape == (52, 102, 3)


def test_labels_and_caption():
    values = np.zeros((4, 48, 48, 1), np.uint8)
    bare = grid(values, 2)
    labelled = grid(values, 2, row_labels=["zero", "one"])
    assert len(labelled) == len(bare)
    margin = labelled.shape[1] - bare.shape[1]
    np.testing.assert_array_equal(labelled[:, margin:], bare)
    assert (labelled[:50, :margin] < 100).any() and (labelled[52:, :margin] < 100).any()
    titled = grid(values, 2, caption="a caption longer than the picture is wide")
    assert titled.shape[1] > bare.shape[1]
    np.testing.assert_array_equal(titled[-len(bare) :, : bare.shape[1]], bare)
    with pytest.raises(ValueError, match="3 row labels for 2 rows"):
        grid(values, 2, row_labels="abc")


@pytest.mark.parametrize(
    ("values", "columns", "value_range", "message"),
    [
        (np.zeros((8, 8, 1)), 1, (0, 1), r"shape \[8, 8, 1\]; give \[n, h, w, 1\]"),
        (np.zeros((0, 8, 8, 1)), 1, (0, 1), "at least one"),
        (np.zeros((1, 8, 8, 2)), 1, (0, 1), r"shape \[1, 8, 8, 2\]"),
        (np.zeros((1, 8, 8, 1)), 0, (0, 1), "columns must be at least 1, got 0"),
        (np.zeros((1, 8, 8, 1)), 1, None, "value_range is None; for float64"),
        (np.zeros((1, 8, 8, 1)), 1, (1, 1), r"value_range is \(1, 1\)"),
        (np.zeros((1, 8, 8, 1), int), 1, (0, 1), "dtype int64; give floats or uint8"),
    ],
)
def test_bad_images(values, columns, value_range, message):
    with pytest.raises(ValueError, match=message):
        grid(values, columns, value_range)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_pixels(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    path = write_png(tmp_path / "samples" / "000500.png", values)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(5, 7, channels), values)
    assert [p.name for p in path.parent.iterdir()] == ["000500.png"]


def test_png_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png", np.zeros((2, 2, 1), np.uint8))
    before = path.read_bytes()

    def broken(self, file, **options):
        file.write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(images.Image.Image, "save", broken)
    with pytest.raises(OSError, match="no room"):
        write_png(path, np.ones((2, 2, 1), np.uint8))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("image", [np.zeros((2, 2, 3)), np.zeros((2, 2), np.uint8)])
def test_bad_png(tmp_path, image):
    with pytest.raises(ValueError, match=r"a.png: image has .* give uint8 \[h, w, 1\]"):
        write_png(tmp_path / "a.png", image)
