"""Words before a name: colours, a part by lot, no further targets."""

import numpy as np
import pytest

from gan_mtl import data


def test_grey_pictures_are_repeated_in_three_channels():
    grey, found = data.load("digits"), data.load("colour:digits")
    assert found.train.images.shape[1:] == (8, 8, 3) and found.name == "colour:digits"
    for split, of in ((found.train, grey.train), (found.test, grey.test)):
        np.testing.assert_array_equal(split.images, of.images * np.ones(3, np.uint8))
        np.testing.assert_array_equal(split.labels, of.labels)


def test_a_part_is_of_the_training_split_and_always_the_same():
    whole, found = data.load("digits"), data.load("part:40:digits")
    assert found.train.num_examples == 40 and found.test.num_examples == whole.test.num_examples
    rows = [
        np.flatnonzero((whole.train.images == x).all(axis=(1, 2, 3))) for x in found.train.images
    ]
    assert all(len(row) for row in rows) and found.manifest["split_seed"] == 0
    again, other = data.load("part:40:digits"), data.load("part:40:digits", seed=1)
    np.testing.assert_array_equal(again.train.images, found.train.images)
    assert not np.array_equal(other.train.images, found.train.images)


def test_words_go_together_and_sets_that_differed_can_be_joined():
    found = data.load("joined:part:30:colour:digits+colour:digits")
    assert [s.name for s in found.sources] == ["part:30:colour:digits", "colour:digits"]
    assert data.part(found, found.train, "part:30:colour:digits").num_examples == 30
    scenes = data.load("digit_scenes_small")
    assert scenes.train.targets and not data.load("plain:digit_scenes_small").train.targets


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("colour:colour:digits", "3 channels"),
        ("part:digits", "N a number"),
        ("part:0:digits", "N a number"),
        ("part:9999:digits", "there are 1437 training images"),
        ("plain:", "lacks what follows"),
        ("colour:joined:digits+colour:digits", "channels"),
        ("plain:joined:digits+plain:digits", "before the sets that are joined"),
        ("colour:digit", "did you mean 'digits'"),
    ],
)
def test_what_cannot_be_made_is_said(name, message):
    with pytest.raises(ValueError, match=message):
        data.load(name)
