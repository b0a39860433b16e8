"""Two pictures in one: where they lie, and whose classes the targets are."""

import jax
import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.data.arrays import Split


def pictures(count, value, seed):
    draw = np.random.default_rng(seed)
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, 4:24, 4:24] = value + draw.integers(0, 20, (count, 20, 20, 1), np.uint8)
    return Split(images, draw.integers(0, 10, count).astype(np.int32))


@pytest.fixture(scope="module")
def sets():
    names = tuple(map(str, range(10)))
    return [
        data.assemble(f"set {v}", pictures(30, v, v), pictures(12, v, v + 1), names, source="here")
        for v in (100, 200)
    ]


def test_the_brighter_pixel_wins_at_the_published_places(sets):
    left, right = sets
    found = data.overlaid("both", left, right, seed=0, size=36)
    image = found.train.images[5, :, :, 0]
    first = left.train.images[5, :, :, 0]
    np.testing.assert_array_equal(image[:28, :6], first[:, :6])
    np.testing.assert_array_equal(image[:6, :28], first[:6])
    partner = np.flatnonzero((right.train.images[:, 8:, 8:, 0] == image[14:34, 14:34]).all((1, 2)))
    assert image[28:, :6].max() == 0 and len(partner) == 1
    assert found.train.targets["right"][5] == right.train.labels[partner[0]]
    np.testing.assert_array_equal(found.train.targets["left"], left.train.labels)
    overlap = image[10:24, 10:24]
    second = right.train.images[partner[0], 4:18, 4:18, 0]
    np.testing.assert_array_equal(overlap, np.maximum(first[10:24, 10:24], second))


def test_it_is_named_by_its_seed(sets):
    one, same, other = (data.overlaid("both", *sets, seed=s) for s in (0, 0, 1))
    assert one.train.images.shape == (30, 28, 28, 1)
    assert one.manifest == same.manifest
    assert (
        one.manifest["splits"]["train"]["targets_sha256"]
        != other.manifest["splits"]["train"]["targets_sha256"]
    )
    data.verify(one.manifest, same)
    swapped = one.train._replace(targets={**one.train.targets, "right": one.train.labels})
    with pytest.raises(ValueError, match=r"targets_sha256\.right"):
        data.verify(one.manifest, one._replace(train=swapped))


def test_batches_hold_the_targets_on_host_and_device(sets):
    found = data.overlaid("both", *sets, seed=0)
    source = data.stream(found.train, 8, seed=0)
    batch, rows = source.batch(3), source.indices(3)
    assert set(batch) == {"images", "labels", "left", "right"}
    np.testing.assert_array_equal(batch["right"], found.train.targets["right"][rows["images"]])
    gathered = jax.jit(source.gather)(jax.device_put(source.arrays), rows)
    np.testing.assert_array_equal(gathered["right"], batch["right"])
    part = data.take(found.train, np.array([4, 2]))
    assert part.targets["left"].tolist() == found.train.targets["left"][[4, 2]].tolist()


def test_bad_targets_and_pictures_are_refused(sets):
    small = sets[0]._replace(train=sets[0].train._replace(images=sets[0].train.images[:, :20]))
    with pytest.raises(ValueError, match="28x28 with one channel"):
        data.overlaid("both", small, sets[1], seed=0)
    short = sets[0].train._replace(targets={"depth": np.zeros(3)})
    with pytest.raises(ValueError, match="depth"):
        data.assemble("x", short, sets[0].test, tuple(map(str, range(10))), source="here")
    taken = sets[0].train._replace(targets={"images": np.zeros(30)})
    with pytest.raises(ValueError, match="images"):
        data.assemble("x", taken, sets[0].test, tuple(map(str, range(10))), source="here")


def test_multimnist_is_that_of_the_published_files():
    import os

    if "GAN_MTL_DATA" not in os.environ:
        pytest.skip("GAN_MTL_DATA is not set: MNIST's files are needed")
    found = data.load("multi_fashion_mnist")
    assert found.train.images.shape == (60000, 28, 28, 1) and found.test.num_examples == 10000
    assert found.train.targets["left"][:5].tolist() == [5, 0, 4, 1, 9]  # MNIST's first digits
    assert abs(np.bincount(found.train.targets["right"]) - 6000).max() < 400
