import numpy as np
import pytest
from sklearn.datasets import load_digits

from gan_mtl.data.digits import digits
from gan_mtl.data.protocol import with_labels

TRAIN_HISTOGRAM = [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]
TEST_HISTOGRAM = [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def test_golden():
    """The split that every table rests on: a change here is a change of every result."""
    splits = digits().manifest["splits"]
    assert splits["train"]["count"] == 1437 and splits["test"]["count"] == 360
    assert splits["train"]["histogram"] == TRAIN_HISTOGRAM
    assert splits["test"]["histogram"] == TEST_HISTOGRAM
    assert splits["train"]["images_sha256"][:16] == "41d2afb45e32f683"
    assert splits["train"]["labels_sha256"][:16] == "73537522f3f0f0e3"
    assert splits["test"]["images_sha256"][:16] == "ef122193e96b5368"
    assert splits["test"]["labels_sha256"][:16] == "81b9fbdfeb5826b5"


def test_golden_label_draw():
    visible = with_labels(digits(), per_class=3, seed=0).manifest["visible"]
    assert visible["indices"][:8] == [88, 89, 91, 132, 202, 403, 419, 421]
    assert visible["sha256"][:16] == "29a41f3fda97da03"


def test_nothing_is_lost():
    raw, found = load_digits(), digits()
    expected = sorted(map(bytes, np.floor(raw.images * 255 / 16 + 0.5).astype(np.uint8)))
    both = np.concatenate([found.train.images, found.test.images])[..., 0]
    assert sorted(map(bytes, both)) == expected
    assert len(np.unique(both)) == 17


def test_another_seed_is_another_split():
    one, two = digits(1), digits(2)
    assert one.manifest["splits"]["test"] != two.manifest["splits"]["test"]
    assert one.manifest["split_seed"] == 1


@pytest.mark.parametrize(("size", "shape"), [(16, (16, 16)), ((8, 12), (8, 12))])
def test_resized(size, shape):
    assert digits(size=size).test.images.shape == (360, *shape, 1)
