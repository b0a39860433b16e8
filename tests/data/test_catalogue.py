import os

import numpy as np
import pytest
from PIL import Image

from gan_mtl.data import catalogue, load, names, verify


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data directory but the one that a test gives."""
    monkeypatch.delenv("GAN_MTL_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_digits_need_nothing():
    found = load("digits")
    assert found.name == "digits" and found.num_classes == 10
    verify(found.manifest, found)
    assert load("digits", size=16).train.images.shape[1:] == (16, 16, 1)


@pytest.mark.parametrize("below", ["mnist", "MNIST/raw", "."])
def test_places_of_files(tmp_path, idx_folder, below, monkeypatch):
    idx_folder(tmp_path / "d" / below)
    found = load("mnist", tmp_path / "d")
    assert found.train.num_examples == 30 and found.test.num_examples == 10
    assert found.manifest["split_seed"] is None, "the publisher's split has no seed"
    monkeypatch.setenv("GAN_MTL_DATA", str(tmp_path / "d"))
    verify(found.manifest, load("mnist"))


def test_own_folder_comes_first(tmp_path, idx_folder):
    idx_folder(tmp_path / "mnist", train=20)
    idx_folder(tmp_path, train=50)
    assert load("mnist", tmp_path).train.num_examples == 20


def test_missing_files(tmp_path, idx_folder):
    idx_folder(tmp_path / "mnist")
    (tmp_path / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", tmp_path)
    message = str(error.value)
    for part in (
        "mnist: its files were not found",
        "looked for train-images-idx3-ubyte",
        f"in {tmp_path / 'mnist'} (has t10k-images-idx3-ubyte",
        f"in {tmp_path / 'MNIST/raw'} (no such folder)",
        "--data-dir ROOT",
        "GAN_MTL_DATA=ROOT",
        "prepare('mnist', 'ROOT')",
    ):
        assert part in message, message


@pytest.mark.parametrize("name", catalogue.PUBLISHED)
def test_nothing_set(name):
    with pytest.raises(FileNotFoundError, match="neither a data directory nor GAN_MTL_DATA is set"):
        load(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnsit", r"unknown data set 'mnsit'; did you mean 'mnist'\? \(known: digits, mnist"),
        ("MNIST", "did you mean 'mnist'"),
        ("fashion", "did you mean 'fashion_mnist'"),
        ("xyz", r"unknown data set 'xyz' \(known: "),
        ("", "unknown data set ''"),
        ("folder:", "data 'folder:' lacks what follows the colon; give folder:PATH"),
        ("tfds", "give tfds:NAME"),
        ("floder:x", "unknown data set 'floder:x'; did you mean 'folder:...'"),
    ],
)
def test_unknown(name, message):
    with pytest.raises(ValueError, match=message):
        load(name)


def test_bad_size_before_reading():
    with pytest.raises(ValueError, match="size=0"):
        load("mnist", size=0)


def test_folder(tmp_path):
    for name in ("cat", "dog"):
        for i in range(10):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (6 + i, 6), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    found = load(f"folder:{tmp_path}", size=6)
    assert found.label_names == ("cat", "dog")
    assert found.train.num_examples == 16 and np.bincount(found.test.labels).tolist() == [2, 2]
    assert found.manifest["split_seed"] == 0
    other = load(f"folder:{tmp_path}", size=6, seed=1)
    assert other.manifest["splits"] != found.manifest["splits"]
    verify(found.manifest, load(f"folder:{os.path.relpath(tmp_path)}", size=6))


def test_npz(tmp_path):
    images = np.arange(80, dtype=np.uint8).reshape(20, 2, 2)
    np.savez(tmp_path / "x.npz", images=images)
    found = load(f"npz:{tmp_path / 'x.npz'}")
    assert found.num_classes == 0 and found.label_names == ()
    assert (found.train.num_examples, found.test.num_examples) == (16, 4)
    np.savez(tmp_path / "y.npz", train_images=images, test_images=images[:, :1], val_images=images)
    with pytest.raises(ValueError, match="give `size`"):
        load(f"npz:{tmp_path / 'y.npz'}")
    found = load(f"npz:{tmp_path / 'y.npz'}", size=4)
    assert found.validation is not None and found.test.images.shape == (20, 4, 4, 1)


def test_too_few_to_divide(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="has 4 images and no test split; give at least 5"):
        load(f"npz:{tmp_path / 'x.npz'}")


def test_names_all_work_as_documented():
    assert names()[0] == "digits" and {"folder:...", "npz:...", "tfds:..."} <= set(names())


SIZES = {
    "mnist": (60000, 10000, "mnist/train-images-idx3-ubyte.gz"),
    "fashion_mnist": (60000, 10000, "fashion_mnist/train-images-idx3-ubyte.gz"),
    "usps": (7291, 2007, "usps/usps.npz"),
    "cifar10_subset": (4000, 1000, "cifar10_subset/cifar10_subset.npz"),
}


@pytest.mark.parametrize("name", SIZES)
def test_real(real, name, monkeypatch):
    monkeypatch.undo()
    train, test, file = SIZES[name]
    root = real(file)
    found = load(name, root)
    assert (found.train.num_examples, found.test.num_examples) == (train, test)
    assert load(name, root / name, size=None).manifest == {
        **found.manifest,
        "source": str(root / name / "."),
    }


def test_real_mixed_up(real, monkeypatch):
    monkeypatch.undo()
    root = real("mnist", "fashion_mnist")
    with pytest.raises(
        ValueError, match="mnist are those of fashion_mnist; give the folder of mnist"
    ):
        load("mnist", root / "fashion_mnist")
