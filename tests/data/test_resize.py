import numpy as np
import pytest

from gan_mtl.data.arrays import Split
from gan_mtl.data.resize import height_width, resize, resized


def test_same_size_is_untouched(toy):
    assert resize(toy, 4) is toy


def test_constant_images_stay_constant(toy):
    found = resize(toy, (8, 6))
    assert found.images.shape == (40, 8, 6, 1)
    np.testing.assert_array_equal(found.images[:, 0, 0, 0], np.arange(40))
    assert (found.images == found.images[:, :1, :1]).all()


def test_centre_crop_before_resizing():
    image = np.zeros((4, 8, 1), np.uint8)
    image[:, 2:6] = 200  # the middle square
    assert (resized(image, 4) == 200).all()


def test_channels_do_not_mix():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 1] = 255
    found = resize(Split(image[None], np.zeros(1, np.int32)), 7).images[0]
    assert (found[..., 1] == 255).all() and (found[..., [0, 2]] == 0).all()


@pytest.mark.parametrize("size", [0, -1, (3,), (3, 0), (1, 2, 3), (2.5, 2)])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size="):
        height_width(size)
