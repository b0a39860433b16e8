import pickle
import tarfile

import numpy as np
import pytest

from gan_mtl.data import cifar

N = 3


@pytest.fixture
def parts():
    """Images [N, 32, 32, 3] and labels by published part."""
    draw = np.random.default_rng(0)
    names = [*cifar.BATCHES["train"], *cifar.BATCHES["test"]]
    return {
        name: (draw.integers(0, 256, (N, 32, 32, 3), np.uint8), draw.integers(0, 10, N))
        for name in names
    }


def write(folder, parts, binary):
    folder.mkdir(parents=True)
    for name, (images, labels) in parts.items():
        pixels = images.transpose(0, 3, 1, 2).reshape(N, -1)
        if binary:
            data = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1).tobytes()
            (folder / f"{name}.bin").write_bytes(data)
        else:
            content = {b"labels": labels.tolist(), b"data": pixels}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def check(splits, parts):
    train = [parts[name] for name in cifar.BATCHES["train"]]
    np.testing.assert_array_equal(splits["train"].images, np.concatenate([p[0] for p in train]))
    np.testing.assert_array_equal(splits["train"].labels, np.concatenate([p[1] for p in train]))
    np.testing.assert_array_equal(splits["test"].images, parts["test_batch"][0])


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_unpacked(tmp_path, parts, binary, inside):
    form = cifar.FORMS[0 if binary else 1]
    folder = tmp_path / "d" / form
    write(folder, parts, binary)
    place = folder if inside else folder.parent
    assert cifar.missing_files(place) == []
    check(cifar.read_folder(place), parts)


@pytest.mark.parametrize("archive", cifar.ARCHIVES)
def test_packed(tmp_path, parts, archive):
    form = cifar.ARCHIVES[archive]
    write(tmp_path / form, parts, "bin" in form)
    place = tmp_path / "packed"
    place.mkdir()
    with tarfile.open(place / archive, "w:gz") as packed:
        packed.add(tmp_path / form, form)
    check(cifar.read_folder(place), parts)
    data = (place / archive).read_bytes()
    (place / archive).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"{archive} is damaged"):
        cifar.read_folder(place)


def test_cut_off(tmp_path, parts):
    write(tmp_path / "x", parts, binary=True)
    path = tmp_path / "x/data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3.bin has 9218 bytes, no multiple of 3073"):
        cifar.read_folder(tmp_path / "x")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*data_batch_3.bin"):
        cifar.read_folder(tmp_path / "x")


def test_a_pickle_runs_nothing(tmp_path, parts):
    write(tmp_path / "x", parts, binary=False)

    class Evil:
        def __reduce__(self):
            return (print, ("owned",))

    (tmp_path / "x/data_batch_2").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"data_batch_2 is damaged .it asks for builtins.print"):
        cifar.read_folder(tmp_path / "x")


def test_missing(tmp_path):
    assert "cifar-10-binary.tar.gz" in cifar.missing_files(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has none of cifar-10-binary.tar.gz"):
        cifar.read_folder(tmp_path)
