import numpy as np
import pytest
from PIL import Image

from gan_mtl.data.folder import list_pictures, open_picture, read_folder


def picture(path, value=0, size=(6, 4), mode="L", **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size[1], size[0]), value).save(path, **kwargs)
    return path


def test_a_class_per_folder(tmp_path):
    for i, name in enumerate(["dog/b.png", "dog/a.png", "cat/x.PNG", "cat/sub/y.png"]):
        picture(tmp_path / name, i)
    found = read_folder(tmp_path)
    split = found.splits["all"]
    assert found.label_names == ("cat", "dog")
    assert split.labels.tolist() == [0, 0, 1, 1]
    assert split.images.shape == (4, 6, 4, 1)
    assert split.images[:, 0, 0, 0].tolist() == [3, 2, 1, 0]  # sub/y.png, x.PNG, a.png, b.png


def test_numbers_are_ordered_as_numbers(tmp_path):
    for name in ("10", "9", "0"):
        picture(tmp_path / name / "x.png")
    assert read_folder(tmp_path).label_names == ("0", "9", "10")


def test_no_classes_no_labels(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
    picture(tmp_path / ".hidden.png", 9)
    (tmp_path / "notes.txt").write_text("not a picture")
    found = read_folder(tmp_path)
    assert found.splits["all"].labels.tolist() == [-1, -1, -1]
    assert found.label_names == ()


def test_own_splits(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "test/b/1.png", "val/a/1.png"):
        picture(tmp_path / name)
    found = read_folder(tmp_path)
    assert {k: s.labels.tolist() for k, s in found.splits.items()} == {
        "train": [0, 1],
        "test": [1],
        "validation": [0],
    }


def test_grey_stays_grey_and_colour_wins(tmp_path):
    picture(tmp_path / "a.png", 7)
    assert read_folder(tmp_path).splits["all"].images.shape[-1] == 1
    picture(tmp_path / "b.png", (1, 2, 3), mode="RGB")
    found = read_folder(tmp_path).splits["all"].images
    assert found.shape[-1] == 3
    assert found[:, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_jpeg(tmp_path):
    picture(tmp_path / "a.jpg", (10, 200, 30), mode="RGB", quality=95)
    picture(tmp_path / "b.JPEG", (10, 200, 30), mode="RGB", quality=95)
    found = read_folder(tmp_path).splits["all"].images.astype(int)
    assert np.abs(found - [10, 200, 30]).max() < 8


def test_mixed_sizes(tmp_path):
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "b.png", 2, size=(9, 5))
    with pytest.raises(ValueError, match=r"b.png is 9 x 5 .*a.png is 6 x 4; give `size`"):
        read_folder(tmp_path)
    found = read_folder(tmp_path, size=8).splits["all"].images
    assert found.shape == (2, 8, 8, 1)
    assert found[:, 0, 0, 0].tolist() == [1, 2]


def test_sixteen_bits(tmp_path):
    wide = np.array([[0, 257, 65535]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert np.asarray(open_picture(tmp_path / "a.png")).tolist() == [[0, 1, 255]]


def test_transparency_is_laid_on_white(tmp_path):
    picture(tmp_path / "a.png", (0, 0, 0, 0), mode="RGBA")
    picture(tmp_path / "b.png", (0, 0), mode="LA")
    opened = [open_picture(tmp_path / name) for name in ("a.png", "b.png")]
    assert [(p.mode, np.asarray(p).min()) for p in opened] == [("RGB", 255), ("L", 255)]


def test_palette_and_one_bit(tmp_path):
    picture(tmp_path / "a.png", 1, mode="1")
    grey = Image.new("L", (4, 6), 90)
    grey.convert("P").save(tmp_path / "b.png")
    assert np.asarray(open_picture(tmp_path / "a.png")).max() == 255
    assert open_picture(tmp_path / "b.png").getpixel((0, 0)) == (90, 90, 90)


def test_camera_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture(tmp_path / "a.jpg", 5, size=(6, 4), exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (6, 4)


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"holds no pictures; looked for .png, .jpg, .jpeg"):
        read_folder(tmp_path)
    picture(tmp_path / "a/x.png")
    (tmp_path / "a/y.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"y.png cannot be read as a picture"):
        read_folder(tmp_path)
    (tmp_path / "a/y.png").unlink()
    picture(tmp_path / "loose.png")
    with pytest.raises(ValueError, match=r"\(loose.png, ...\) beside class folders \(a\)"):
        read_folder(tmp_path)


def test_cut_off_picture(tmp_path):
    whole = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(whole).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"a.png cannot be read"):
        read_folder(tmp_path)


def test_unknown_class_in_test(tmp_path):
    picture(tmp_path / "train/a/1.png")
    picture(tmp_path / "test/b/1.png")
    with pytest.raises(ValueError, match="test has 'b', which train has not"):
        read_folder(tmp_path)


def test_list_pictures(tmp_path):
    for name in ("b/2.png", "a/1.jpg", ".x/3.png"):
        picture(tmp_path / name)
    assert [p.name for p in list_pictures(tmp_path)] == ["1.jpg", "2.png"]
