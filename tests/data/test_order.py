import numpy as np
import pytest

from gan_mtl.data import order


def test_golden_words():
    """NumPy promises these never to change; splits and draws all over rest on them."""
    found = order.words(3, seed=7, tag="epoch", index=2)
    assert found.tolist() == [9523186939352727980, 4121492692323006539, 16694491255390770713]


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_permutation_holds_everything_once(n):
    assert sorted(order.permutation(n, 0, "x")) == list(range(n))


def test_each_part_of_the_key_matters():
    base = order.permutation(50, 1, "a", 2).tolist()
    assert order.permutation(50, 1, "a", 2).tolist() == base
    for other in ((2, "a", 2), (1, "b", 2), (1, "a", 3)):
        assert order.permutation(50, *other).tolist() != base


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=f"seed={seed}"):
        order.words(1, seed, "x")


def test_spread_gives_one_of_each_class_a_round():
    labels = np.repeat([0, 1, 2], 5)
    for epoch in range(3):
        found = order.spread(labels, 3, "x", epoch)
        assert sorted(found) == list(range(15))
        for k in range(5):
            assert sorted(labels[found[3 * k : 3 * k + 3]]) == [0, 1, 2]


def test_spread_keeps_proportions_of_unequal_classes():
    labels = np.array([0] * 90 + [1] * 10)
    found = labels[order.spread(labels, 0, "x")]
    assert all(found[10 * k : 10 * k + 10].sum() in (0, 1, 2) for k in range(10))


def test_spread_mixes_within_a_class():
    labels = np.zeros(100, int)
    assert order.spread(labels, 0, "x", 0).tolist() != order.spread(labels, 0, "x", 1).tolist()
