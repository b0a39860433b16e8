"""One draw of every pixel: its law, its seed, and what stays."""

import numpy as np

from gan_mtl import data
from gan_mtl.data import binarised
from gan_mtl.data.arrays import Split

SHADES = np.array([0, 51, 128, 255], np.uint8)


def grey(count):
    """Pictures of four quarters, each of one shade."""
    images = np.broadcast_to(SHADES.reshape(1, 2, 2, 1), (count, 2, 2, 1)).repeat(2, 1).repeat(2, 2)
    return Split(np.ascontiguousarray(images), (np.arange(count) % 2).astype(np.int32))


def made(train=2500, seed=0, **options):
    found = data.assemble("grey", grey(train), grey(500), ("a", "b"), source="here")
    return binarised("black_and_white", found, seed, **options)


def test_grey_is_the_probability_of_white():
    """10,000 draws of a shade: five standard errors are 0.025."""
    found = made()
    assert set(np.unique(found.train.images)) == {0, 255}
    white = (found.train.images[..., 0] == 255).mean(axis=0)
    quarters = white.reshape(2, 2, 2, 2).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(quarters, SHADES / 255, atol=0.025)
    assert quarters[0] == 0 and quarters[3] == 1
    np.testing.assert_array_equal(found.train.labels, grey(2500).labels)


def test_it_is_named_by_its_seed_and_every_pixel_is_drawn_apart():
    one, same, other = made(), made(), made(seed=1)
    assert one.manifest == same.manifest != other.manifest
    images = one.train.images.reshape(2500, -1)
    assert len(np.unique(images[:1000], axis=0)) > 100, "pictures of one grey differ"
    for a, b in ((images[:1000], images[1000:2000]), (images[:500], one.test.images)):
        assert (a != b.reshape(len(a), -1)).mean() > 0.1, "chunks and splits have their own draws"
    shorter = made(train=1200)
    np.testing.assert_array_equal(shorter.train.images, one.train.images[:1200])


def test_grey_is_resized_before_the_draw():
    images = made(size=2).train.images
    assert images.shape == (2500, 2, 2, 1) and set(np.unique(images)) == {0, 255}


def test_the_catalogue_knows_it():
    assert {"binarised_mnist", "binarised_fashion_mnist"} <= set(data.names())
