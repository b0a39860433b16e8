import gzip

import numpy as np
import pytest

from gan_mtl.data import idx

HISTOGRAMS = {
    "mnist": (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        (0.13066, 0.30811),
    ),
    "fashion_mnist": ([6000] * 10, [1000] * 10, (0.28604, 0.35302)),
}


def header(code, *shape):
    return bytes([0, 0, code, len(shape)]) + b"".join(int(d).to_bytes(4, "big") for d in shape)


@pytest.mark.parametrize("packed", [True, False])
def test_reads_what_was_written(tmp_path, idx_folder, packed):
    written = idx_folder(tmp_path, packed=packed)
    found = idx.read_folder(tmp_path)
    for key, split in written.items():
        np.testing.assert_array_equal(found[key].images, split.images)
        np.testing.assert_array_equal(found[key].labels, split.labels)
        assert found[key].labels.dtype == np.int32


@pytest.mark.parametrize(
    ("code", "kind"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_element_types(tmp_path, code, kind):
    array = np.array([[1, 2, 3], [4, 5, 6]], kind)
    (tmp_path / "x").write_bytes(header(code, 2, 3) + array.tobytes())
    found = idx.read_idx(tmp_path / "x")
    np.testing.assert_array_equal(found, array)
    assert found.dtype.isnative


def test_dotted_names(tmp_path, idx_folder):
    idx_folder(tmp_path, packed=False)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    assert idx.missing_files(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n", r"x is no IDX file: it starts with bytes \[137, 80, 78, 71\]"),
        (b"", "x is no IDX file"),
        (header(8, 2, 3) + b"12345", r"x is cut off: .* shape \[2, 3\], 18 bytes in all, .* 17"),
        (header(8, 2, 3)[:8], "x is cut off"),
        (header(8, 2) + b"123", "x is too long"),
        (gzip.compress(header(8, 500) + bytes(range(250)) * 2)[:-20], "x is cut off or damaged"),
        (b"\x1f\x8b nonsense", "x is cut off or damaged"),
    ],
)
def test_bad_files(tmp_path, data, message):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        idx.read_idx(tmp_path / "x")


def test_missing(tmp_path, idx_folder):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        idx.read_idx(tmp_path / "x")
    idx_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no t10k-labels-idx1-ubyte \(plain or .gz\)"):
        idx.read_folder(tmp_path)


def test_labels_of_other_length(tmp_path, idx_folder):
    idx_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(header(8, 2) + b"\0\1")
    with pytest.raises(ValueError, match=r"train images has 30 examples and .* labels has 2"):
        idx.read_folder(tmp_path)


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_real(real, name):
    root = real(f"{name}/train-images-idx3-ubyte.gz")
    splits = idx.read_folder(root / name)
    train, test, (mean, std) = HISTOGRAMS[name]
    assert np.bincount(splits["train"].labels).tolist() == train
    assert np.bincount(splits["test"].labels).tolist() == test
    assert splits["train"].images.shape == (60000, 28, 28, 1)
    counts = np.bincount(splits["train"].images.reshape(-1), minlength=256)
    levels = np.arange(256) / 255
    found = (counts * levels).sum() / counts.sum()
    spread = ((counts * levels**2).sum() / counts.sum() - found**2) ** 0.5
    assert (found, spread) == pytest.approx((mean, std), abs=1e-5)
