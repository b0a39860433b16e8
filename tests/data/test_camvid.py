"""CamVid: the archive's classes as masks, and the real file where it lies."""

import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.data import camvid

COUNTS = {"train": 12, "val": 4, "test": 6}


@pytest.fixture
def members():
    draw = np.random.default_rng(0)
    found = {}
    for prefix, n in COUNTS.items():
        found[f"{prefix}_images"] = draw.integers(0, 256, (n, 18, 24, 3), np.uint8)
        found[f"{prefix}_labels"] = draw.integers(0, 12, (n, 18, 24), np.uint8)
        found[f"{prefix}_names"] = np.array([f"{prefix}{i}" for i in range(n)])
    return found


def write(folder, members):
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / camvid.FILE, **members)
    return folder


def test_splits_masks_and_names(tmp_path, members):
    write(tmp_path / "camvid", members)
    found = data.load("camvid", tmp_path)
    assert found.num_classes == 11 and found.label_names[8] == "Car"
    for split, prefix in (
        (found.train, "train"),
        (found.validation, "val"),
        (found.test, "test"),
    ):
        classes, mask = members[f"{prefix}_labels"], split.targets["mask"]
        np.testing.assert_array_equal(split.images, members[f"{prefix}_images"])
        assert mask.dtype == np.uint8 and (split.labels == data.HIDDEN).all()
        np.testing.assert_array_equal(mask == data.IGNORE, classes == 11)
        np.testing.assert_array_equal(mask[classes < 11], classes[classes < 11])
    data.verify(found.manifest, found)


def test_sizes_and_parts(tmp_path, members):
    write(tmp_path, members)
    found = data.load("camvid", tmp_path, size=(9, 12))
    assert found.train.images.shape == (12, 9, 12, 3)
    assert found.validation.targets["mask"].shape == (4, 9, 12)
    assert set(np.unique(found.train.targets["mask"])) == {*range(11), 255}, "no value in between"
    part = data.with_fraction(found, 0.5, seed=0)
    assert part.train.num_examples == 6
    data.verify(part.manifest, part)
    batch = data.stream(part.train, 2, seed=0).batch(0)
    assert set(batch) == {"images", "mask"} and batch["mask"].shape == (2, 9, 12)


def test_there_are_no_labels_to_draw(tmp_path, members):
    write(tmp_path, members)
    with pytest.raises(ValueError, match="no visible labels to draw from"):
        data.with_labels(data.load("camvid", tmp_path), 1, seed=0)


def test_bad_files(tmp_path, members):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        camvid.read_split(tmp_path / camvid.FILE, "train")
    with pytest.raises(FileNotFoundError, match=r"camvid: its files(.|\n)*camvid_240x180.npz"):
        data.load("camvid", tmp_path)
    bad = {**members, "test_labels": np.where(members["test_labels"] == 3, 12, 0).astype(np.uint8)}
    with pytest.raises(
        ValueError, match=r"camvid_240x180.npz: test target 'mask': example 0 has 12"
    ):
        data.load("camvid", write(tmp_path, bad))
    bad = {**members, "train_labels": members["train_labels"][:, 1:]}
    with pytest.raises(ValueError, match=r"'mask' has shape \[12, 17, 24\]; give \[12, 18, 24\]"):
        data.load("camvid", write(tmp_path, bad))
    bad = {k: v for k, v in members.items() if k != "val_labels"}
    with pytest.raises(ValueError, match="has no member val_labels; it is not camvid_240x180"):
        data.load("camvid", write(tmp_path, bad))
    path = write(tmp_path, members) / camvid.FILE
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is no NumPy archive of numbers, or is damaged"):
        data.load("camvid", tmp_path)


def test_real_shares_of_the_classes(real):
    file = f"camvid/{camvid.FILE}"
    split = camvid.read_split(real(file) / file, "validation")
    assert split.images.shape == (101, 180, 240, 3)
    counts = np.bincount(split.targets["mask"].ravel(), minlength=256)
    share = 100 * counts[[*range(11), 255]] / counts.sum()
    published = [9.23, 26.06, 0.56, 28.81, 8.72, 16.35, 0.89, 3.07, 1.74, 0.65, 2.22, 1.70]
    np.testing.assert_allclose(share, published, atol=0.006)
