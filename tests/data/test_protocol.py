import numpy as np
import pytest

from gan_mtl.data import protocol
from gan_mtl.data.arrays import Split, carve
from gan_mtl.data.manifest import assemble, verify
from gan_mtl.data.stream import stream


@pytest.fixture
def dataset(toy):
    train, test = carve(toy, 8, seed=0)
    return assemble("toy", train, test, tuple("abcd"), source="here")


def test_no_leak(dataset):
    """Every hidden true label changed: data, manifest and batches are the same bits."""
    visible = np.array([0, 1, 2, 3])
    labels = dataset.train.labels.copy()
    labels[4:] = (labels[4:] + 1) % 4
    other = assemble(
        "toy", Split(dataset.train.images, labels), dataset.test, tuple("abcd"), source="here"
    )
    one, two = (protocol.with_visible(d, visible) for d in (dataset, other))
    assert one.manifest == two.manifest
    streams = [stream(d.train, 8, seed=0, labelled_batch_size=4) for d in (one, two)]
    for step in range(20):
        a, b = (s.batch(step) for s in streams)
        assert a.keys() == b.keys() == {"images", "labelled_images", "labelled_labels"}
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
    np.testing.assert_array_equal(streams[0].arrays["labels"], streams[1].arrays["labels"])


def test_with_labels_keeps_test_and_validation(dataset):
    found = protocol.with_labels(protocol.with_validation(dataset, 4, seed=0), 3, seed=1)
    assert np.bincount(found.train.labels[found.train.visible]).tolist() == [3, 3, 3, 3]
    assert found.manifest["visible"]["indices"] == found.train.visible.tolist()
    assert found.validation.visible.size == 4 and found.test.visible.size == 8
    verify(found.manifest, found)


def test_another_draw_from_the_whole(dataset):
    draws = [protocol.with_labels(dataset, 1, seed).train.visible.tolist() for seed in range(3)]
    assert len({tuple(draw) for draw in draws}) > 1


def test_validation_comes_first(dataset):
    with pytest.raises(ValueError, match="carve first, then hide"):
        protocol.with_validation(protocol.with_labels(dataset, 1, seed=0), 4, seed=0)
    twice = protocol.with_validation(dataset, 4, seed=0)
    with pytest.raises(ValueError, match="has a validation split already"):
        protocol.with_validation(twice, 4, seed=0)
