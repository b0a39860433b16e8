import numpy as np
import pytest

from gan_mtl.data.npz import USPS_RANGE, read_npz

IMAGES = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)


def test_one_split(tmp_path):
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=np.array([1, 0], np.int64))
    found = read_npz(tmp_path / "x.npz")
    assert list(found.splits) == ["all"] and found.label_names == ("0", "1")
    np.testing.assert_array_equal(found.splits["all"].images[..., 0], IMAGES)
    assert found.splits["all"].labels.tolist() == [1, 0]


def test_all_members(tmp_path):
    members = {f"{p}_images": IMAGES for p in ("train", "test", "val")}
    members |= {f"{p}_labels": np.array([0, 1]) for p in ("train", "test")}
    np.savez(tmp_path / "x.npz", label_names=np.array(["a", "b"]), **members)
    found = read_npz(tmp_path / "x.npz")
    assert list(found.splits) == ["train", "test", "validation"]
    assert found.label_names == ("a", "b")
    assert found.splits["validation"].labels.tolist() == [-1, -1]


def test_floats_with_their_range(tmp_path):
    images = np.linspace(-1, 1, 32).reshape(2, 4, 4).astype(np.float32)
    np.savez(tmp_path / "x.npz", images=images, value_range=np.array([-1, 1]))
    found = read_npz(tmp_path / "x.npz").splits["all"].images
    assert (found.min(), found.max()) == (0, 255)


def test_without_labels(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=IMAGES)
    assert read_npz(tmp_path / "x.npz").label_names == ()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x": IMAGES}, r"x.npz has members \[\]; it needs `images`"),
        ({"images": IMAGES / 255.0}, "x.npz: images has dtype float64; give uint8"),
        ({"train_images": IMAGES, "train_labels": np.zeros(3, int)}, "train_images has 2 examples"),
        ({"images": np.array([{}])}, "holds a member that is no plain array"),
    ],
)
def test_bad_members(tmp_path, members, message):
    np.savez(tmp_path / "x.npz", **members)
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "x.npz")


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_npz(tmp_path / "x.npz")
    for data in (b"nonsense", b"", b"PK\x03\x04 cut"):
        (tmp_path / "x.npz").write_bytes(data)
        with pytest.raises(ValueError, match=r"x.npz"):
            read_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", images=IMAGES)
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match=r"x.npz is no NumPy archive, or is damaged"):
        read_npz(tmp_path / "x.npz")


HISTOGRAMS = {
    "usps/usps.npz": (
        [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644],
        [359, 264, 198, 166, 200, 160, 170, 147, 166, 177],
        (16, 16, 1),
    ),
    "mnist_m/mnist_m_28.npz": (
        [1783, 2051, 1740, 1883, 1747, 1587, 1771, 1900, 1732, 1806],
        [878, 1016, 933, 908, 890, 807, 856, 914, 880, 919],
        (28, 28, 3),
    ),
    "cifar10_subset/cifar10_subset.npz": (
        [396, 366, 420, 384, 422, 393, 414, 385, 407, 413],
        [103, 89, 100, 103, 90, 86, 112, 102, 106, 109],
        (32, 32, 3),
    ),
}


@pytest.mark.parametrize("file", HISTOGRAMS)
def test_real(real, file):
    value_range = USPS_RANGE if "usps" in file else None
    splits = read_npz(real(file) / file, value_range).splits
    train, test, shape = HISTOGRAMS[file]
    assert np.bincount(splits["train"].labels).tolist() == train
    assert np.bincount(splits["test"].labels).tolist() == test
    assert splits["train"].images.shape[1:] == shape


def test_real_usps_keeps_its_ends(real):
    path = real("usps/usps.npz") / "usps/usps.npz"
    found = read_npz(path, USPS_RANGE).splits["test"].images[..., 0]
    raw = np.load(path)["test_images"]
    assert (found[raw == -1000] == 0).all() and (found[raw == 1000] == 255).all()
    assert np.abs(found / 255 - (raw + 1000) / 2000).max() <= 1 / 510
