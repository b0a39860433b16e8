"""Three pictures in one: channels, modes, and what is refused."""

import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.data import stacked
from gan_mtl.data.arrays import Split


def grey(count, seed, channels=1):
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (count, 4, 4, channels), np.uint8)
    return Split(images, (np.arange(count) % 10).astype(np.int32))


@pytest.fixture(scope="module")
def digits():
    names = tuple(map(str, range(10)))
    return data.assemble("grey", grey(40, 0), grey(20, 1), names, source="here")


def test_every_channel_is_a_picture_and_the_label_is_their_number(digits):
    found = stacked("three", digits, seed=0)
    assert found.num_classes == 1000 and found.label_names[7] == "007"
    for split, source in ((found.train, digits.train), (found.test, digits.test)):
        known = {
            image.tobytes(): label
            for image, label in zip(source.images, source.labels, strict=True)
        }
        for i in (0, 5, split.num_examples - 1):
            classes = [known[split.images[i, ..., c : c + 1].tobytes()] for c in range(3)]
            assert split.labels[i] == 100 * classes[0] + 10 * classes[1] + classes[2]
            assert [split.targets[n][i] for n in ("first", "second", "third")] == classes
    counts = np.bincount(found.train.labels, minlength=1000)
    assert found.train.num_examples == 128_000 and counts.min() > 60 and counts.max() < 220


def test_it_is_named_by_its_seed(digits):
    one, same, other = (stacked("three", digits, seed=s) for s in (0, 0, 1))
    assert one.manifest == same.manifest != other.manifest
    assert stacked("three", digits, seed=0, size=8).train.images.shape == (128_000, 8, 8, 3)


def test_pictures_of_several_channels_are_refused():
    names = tuple(map(str, range(10)))
    colour = data.assemble("colour", grey(20, 0, 3), grey(10, 1, 3), names, source="here")
    with pytest.raises(ValueError, match="one channel and ten classes, not of 3 and 10"):
        stacked("three", colour, seed=0)
