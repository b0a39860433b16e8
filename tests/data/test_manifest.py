import json

import numpy as np
import pytest

from gan_mtl.data import manifest
from gan_mtl.data.arrays import Split, carve
from gan_mtl.data.protocol import with_labels, with_validation


@pytest.fixture
def dataset(toy):
    train, test = carve(toy, 8, seed=0)
    return manifest.assemble("toy", train, test, tuple("abcd"), source="here", seed=0)


def test_is_json_and_verifies(dataset):
    stored = json.loads(json.dumps(dataset.manifest))
    manifest.verify(stored, dataset)
    assert stored["splits"]["train"]["count"] == 32
    assert stored["splits"]["test"]["histogram"] == [2, 2, 2, 2]


def test_round_trip_of_the_whole_protocol(dataset):
    dataset = with_labels(with_validation(dataset, 4, seed=0), per_class=2, seed=3)
    stored = json.loads(json.dumps(dataset.manifest))
    manifest.verify(stored, dataset)
    assert stored["visible"]["count"] == 8 and stored["visible"]["seed"] == 3
    assert stored["splits"]["train"]["histogram"] == [2, 2, 2, 2]
    assert set(stored["splits"]) == {"train", "test", "validation"}


def test_where_the_files_lie_does_not_matter(dataset):
    manifest.verify({**dataset.manifest, "source": "elsewhere"}, dataset)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda s: Split(s.images + np.uint8(1), s.labels), "splits.train.images_sha256"),
        (lambda s: Split(s.images, s.labels[::-1].copy()), "splits.train.labels_sha256"),
        (lambda s: Split(s.images[1:], s.labels[1:]), "splits.train.count"),
        (lambda s: Split(s.images.reshape(-1, 2, 8, 1), s.labels), "splits.train.shape"),
    ],
)
def test_verify_names_the_field(dataset, change, field):
    changed = dataset._replace(train=change(dataset.train))
    with pytest.raises(ValueError, match=f"{field}: the manifest has"):
        manifest.verify(dataset.manifest, changed)


def test_verify_names_another_draw(dataset):
    one, two = (with_labels(dataset, 2, seed) for seed in (0, 1))
    with pytest.raises(ValueError, match=r"visible\.seed: the manifest has 0, the data 1"):
        manifest.verify(one.manifest, two)


def test_verify_against_a_manifest_without_a_split(dataset):
    with pytest.raises(ValueError, match=r"splits.validation: the manifest has nothing"):
        manifest.verify(dataset.manifest, with_validation(dataset, 4, seed=0))


def test_digest_does_not_depend_on_layout():
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert manifest.digest(array) == manifest.digest(np.asfortranarray(array))
    assert manifest.digest(array) == manifest.digest(array.astype(">i4"))


def test_assemble_checks_labels_and_shapes(toy):
    with pytest.raises(ValueError, match=r"toy: train labels\[2\] is 2, outside 0 .. 1"):
        manifest.assemble("toy", toy, toy, ("a", "b"), source="")
    other = Split(toy.images[:, :2], toy.labels)
    with pytest.raises(ValueError, match=r"test images are .* give `size`"):
        manifest.assemble("toy", toy, other, tuple("abcd"), source="")
