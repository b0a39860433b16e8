import json
import sys
import types

import numpy as np
import pytest

from gan_mtl.data import tfds
from gan_mtl.data.catalogue import load


@pytest.fixture(autouse=True)
def quiet():
    import tensorflow_datasets

    tensorflow_datasets.disable_progress_bar()


class NoTensorFlow:
    """Looks for modules first, and fails for TensorFlow."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"{name} was wanted where it must not be")


@pytest.fixture
def prepared(tmp_path, idx_folder, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    written = idx_folder(tmp_path / "files")
    path = tfds.prepare("mnist", tmp_path / "root", tmp_path / "files")
    return written, path


def test_prepare_and_read_without_tensorflow(tmp_path, prepared):
    written, path = prepared
    assert any(path.glob("*.array_record*"))
    found = tfds.read_tfds("mnist", [tmp_path / "none", tmp_path / "root"])
    for key, split in written.items():
        np.testing.assert_array_equal(found.splits[key].images, split.images)
        np.testing.assert_array_equal(found.splits[key].labels, split.labels)


@pytest.mark.parametrize("name", ["mnist", "tfds:mnist"])
def test_load(tmp_path, prepared, name):
    from_tfds, from_files = load(name, tmp_path / "root"), load("mnist", tmp_path / "files")
    assert from_tfds.manifest["splits"] == from_files.manifest["splits"]
    assert from_tfds.num_classes == 10
    assert load(name, tmp_path / "root", size=12).train.images.shape == (30, 12, 12, 1)


def test_not_prepared(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        tfds.read_tfds("celeb_a", [tmp_path])
    for part in (f"in {tmp_path}/celeb_a", "gan_mtl[prepare]", "file_format='array_record'"):
        assert part in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"prepare\('mnist', 'ROOT'\)"):
        tfds.read_tfds("mnist", [tmp_path])


def test_unknown_name(tmp_path):
    with pytest.raises(ValueError, match="no set 'mnits'; did you mean tfds:mnist"):
        tfds.read_tfds("mnits", [tmp_path])


def test_prepared_as_tfrecord(tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"name": "mnist", "version": "3.0.1"}))
    with pytest.raises(ValueError, match="is prepared, but not as array_record files"):
        tfds.read_tfds("mnist", [tmp_path])


def test_prepare_errors(tmp_path):
    with pytest.raises(ValueError, match="name='celeb_a'; known without TensorFlow are mnist"):
        tfds.prepare("celeb_a", tmp_path)
    with pytest.raises(FileNotFoundError, match="has no train-images-idx3-ubyte"):
        tfds.prepare("mnist", tmp_path, files=tmp_path)


class Fake:
    """A prepared set as tensorflow-datasets shows it."""

    def __init__(self, features, splits, supervised_keys=None):
        self.info = types.SimpleNamespace(
            features=features, splits=splits, supervised_keys=supervised_keys
        )

    def as_data_source(self, split):
        rows = self.info.splits[split]
        return type(
            "Rows",
            (),
            {
                "__len__": lambda self: len(rows),
                "__getitems__": lambda self, indices: [rows[i] for i in indices],
            },
        )()


class ClassLabel:
    shape, names = (), ("a", "b")


IMAGE = types.SimpleNamespace(shape=(None, None, 3))


def test_other_feature_names_and_splits():
    rows = [{"photo": np.full((4, 5, 3), i, np.uint8), "kind": i % 2} for i in range(3)]
    fake = Fake({"photo": IMAGE, "kind": ClassLabel()}, {"train": rows, "validation": rows[:1]})
    found = tfds._read(fake, "x", None)
    assert found.label_names == ("a", "b")
    assert found.splits["train"].labels.tolist() == [0, 1, 0]
    assert found.splits["test"].num_examples == 1, "validation stands in for a missing test split"


def test_no_labels_and_mixed_sizes():
    rows = [{"image": np.zeros((4 + i, 5, 3), np.uint8)} for i in range(2)]
    fake = Fake({"image": IMAGE}, {"train": rows})
    with pytest.raises(ValueError, match=r"tfds:x: train images have sizes .*give `size`"):
        tfds._read(fake, "x", None)
    found = tfds._read(fake, "x", (4, 4))
    assert found.splits["train"].images.shape == (2, 4, 4, 3)
    assert found.label_names == ()


def test_no_image_and_no_train():
    with pytest.raises(ValueError, match=r"features \['text'\], none of them an image"):
        tfds._read(Fake({"text": ClassLabel()}, {"train": []}), "x", None)
    with pytest.raises(ValueError, match=r"splits \['all'\], none of them `train`"):
        tfds._read(Fake({"image": IMAGE}, {"all": []}), "x", None)
