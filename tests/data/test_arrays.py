import numpy as np
import pytest

from gan_mtl.data.arrays import HIDDEN, Split, carve, draw_labels, hide_labels, quotas, take


def test_hide_leaves_only_what_is_visible(toy):
    hidden = hide_labels(toy, np.array([3, 0]))
    assert hidden.visible.tolist() == [0, 3]
    assert hidden.labels[[0, 3]].tolist() == [0, 3]
    assert (np.delete(hidden.labels, [0, 3]) == HIDDEN).all()
    assert toy.visible.size == 40, "the original is left alone"


def test_hidden_labels_have_no_influence(toy):
    visible = np.array([1, 5, 9])
    other = Split(toy.images, toy.labels.copy())
    rest = np.setdiff1d(np.arange(40), visible)
    other.labels[rest] = (other.labels[rest] + 1) % 4
    np.testing.assert_array_equal(
        hide_labels(toy, visible).labels, hide_labels(other, visible).labels
    )


def test_hide_everything(toy):
    assert hide_labels(toy, np.array([], int)).visible.size == 0


@pytest.mark.parametrize(
    ("indices", "message"),
    [([40], "holds 40; the split has examples 0 .. 39"), ([-1], "holds -1"), ([1, 1], "twice")],
)
def test_hide_bad_indices(toy, indices, message):
    with pytest.raises(ValueError, match=message):
        hide_labels(toy, np.array(indices))


def test_hide_cannot_show_what_is_not_there(toy):
    hidden = hide_labels(toy, np.array([0]))
    with pytest.raises(ValueError, match="holds 7, an example without a label"):
        hide_labels(hidden, np.array([7]))


def test_draw_is_balanced_nested_and_fixed(toy):
    three, one = draw_labels(toy.labels, 3, seed=5), draw_labels(toy.labels, 1, seed=5)
    assert np.bincount(toy.labels[three]).tolist() == [3, 3, 3, 3]
    assert set(one) < set(three)
    assert three.tolist() == draw_labels(toy.labels, 3, seed=5).tolist() == sorted(three)
    assert three.tolist() != draw_labels(toy.labels, 3, seed=6).tolist()


def test_draw_never_takes_a_hidden_label(toy):
    visible = draw_labels(toy.labels, 4, seed=0)
    hidden = hide_labels(toy, visible)
    assert set(draw_labels(hidden.labels, 2, seed=1)) <= set(visible)


@pytest.mark.parametrize(
    ("labels", "per_class", "message"),
    [
        ([0, 0, 1], 2, "class 1 has only 1 labelled examples; take at most 1"),
        ([0, 2], 1, "class 1 has 0 labelled examples"),
        ([-1, -1], 1, "no visible labels"),
        ([0, 1], 0, "per_class=0; take 1 or more"),
    ],
)
def test_draw_errors(labels, per_class, message):
    with pytest.raises(ValueError, match=message):
        draw_labels(np.array(labels), per_class, seed=0)


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("size", [8, 0.2])
def test_carve_divides(toy, size, stratified):
    rest, part = carve(toy, size, seed=0, stratified=stratified)
    assert (rest.num_examples, part.num_examples) == (32, 8)
    values = np.concatenate([rest.images[:, 0, 0, 0], part.images[:, 0, 0, 0]])
    assert sorted(values) == list(range(40))
    for split in (rest, part):
        np.testing.assert_array_equal(split.labels, split.images[:, 0, 0, 0] % 4)
    if stratified:
        assert np.bincount(part.labels).tolist() == [2, 2, 2, 2]


def test_carve_depends_on_the_seed_only(toy):
    parts = [carve(toy, 8, seed)[1].images[:, 0, 0, 0].tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.parametrize("size", [0, 40, 0.001, 1.0])
def test_carve_errors(toy, size):
    with pytest.raises(ValueError, match=f"size={size} takes .* of 40 examples; take 1 .. 39"):
        carve(toy, size, seed=0)


def test_quotas_by_largest_remainder():
    assert quotas(np.array([50, 30, 21]), 10).tolist() == [5, 3, 2]
    assert quotas(np.array([1, 1, 1]), 2).tolist() == [1, 1, 0]


def test_take(toy):
    assert take(toy, np.array([5, 2])).labels.tolist() == [1, 2]
