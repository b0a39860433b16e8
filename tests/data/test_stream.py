import jax
import numpy as np
import pytest

from gan_mtl.data.arrays import Split, draw_labels, hide_labels
from gan_mtl.data.convert import to_float
from gan_mtl.data.generated import ring
from gan_mtl.data.stream import stream


def numbers(images):
    """Which examples of `toy` a batch holds."""
    return np.rint((images[:, 0, 0, 0] + 1) * 127.5).astype(int)


def test_batch(toy):
    batch = stream(toy, 8, seed=0).batch(0)
    assert {k: (v.shape, v.dtype.name) for k, v in batch.items()} == {
        "images": ((8, 4, 4, 1), "float32"),
        "labels": ((8,), "int32"),
    }
    np.testing.assert_array_equal(batch["labels"], numbers(batch["images"]) % 4)


def test_value_range(toy):
    batch = stream(toy, 40, seed=0, value_range=(0.0, 1.0)).batch(0)
    assert (batch["images"].min(), batch["images"].max()) == (0.0, np.float32(39 / 255))


@pytest.mark.parametrize("batch_size", [7, 8, 40])
@pytest.mark.parametrize("repeats", [1, 3])
def test_every_example_equally_often(toy, batch_size, repeats):
    source = stream(toy, batch_size, seed=0, repeats=repeats)
    counts = np.zeros(40, int)
    for step in range(25):
        counts += np.bincount(source.indices(step)["images"], minlength=40)
        assert counts.max() - counts.min() <= 1
    assert counts.sum() == 25 * source.examples_per_step == 25 * repeats * batch_size


def test_epochs_differ(toy):
    source = stream(toy, 40, seed=0)
    assert source.indices(0)["images"].tolist() != source.indices(1)["images"].tolist()
    assert source.steps_per_epoch == 1.0


def test_no_history(toy):
    """The batch of a step is the same after any other steps, in any order, in a new stream."""
    hidden = hide_labels(toy, draw_labels(toy.labels, 2, seed=0))
    make = lambda seed: stream(hidden, 7, seed, labelled_batch_size=3, repeats=2)  # noqa: E731
    used = make(1)
    for step in (99, 3, 0, 41):
        used.batch(step)
    for step in (5, 0, 1000):
        a, b, c = used.batch(step), make(1).batch(step), make(2).batch(step)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
        assert not np.array_equal(a["images"], c["images"])


def test_turns_take_consecutive_stretches(toy):
    """Slice `x[i::R]` of a repeated stream is the batch that a plain one has at that place."""
    hidden = hide_labels(toy, draw_labels(toy.labels, 2, seed=0))
    many = stream(hidden, 5, seed=0, labelled_batch_size=4, repeats=3)
    one = stream(hidden, 5, seed=0, labelled_batch_size=4)
    for step in range(4):
        batch = many.batch(step)
        for turn in range(3):
            for key, value in one.batch(3 * step + turn).items():
                np.testing.assert_array_equal(batch[key][turn::3], value)


def test_labels_only_if_all_are_visible(toy):
    assert "labels" in stream(toy, 4, seed=0).batch(0)
    one_hidden = hide_labels(toy, np.arange(39))
    assert set(stream(one_hidden, 4, seed=0).batch(0)) == {"images"}


@pytest.mark.parametrize(("labelled", "repeats"), [(4, 1), (8, 1), (12, 1), (4, 5), (40, 1)])
def test_labelled_batches_are_balanced(toy, labelled, repeats):
    visible = draw_labels(toy.labels, 2, seed=0)
    source = stream(
        hide_labels(toy, visible), 8, seed=0, labelled_batch_size=labelled, repeats=repeats
    )
    counts = np.zeros(40, int)
    for step in range(6):
        batch = source.batch(step)
        assert batch["labelled_labels"].shape == (labelled * repeats,)
        np.testing.assert_array_equal(
            batch["labelled_labels"], numbers(batch["labelled_images"]) % 4
        )
        for turn in range(repeats):
            per_class = np.bincount(batch["labelled_labels"][turn::repeats], minlength=4)
            assert (per_class == labelled // 4).all()
        counts += np.bincount(source.indices(step)["labelled"], minlength=40)
    assert (np.delete(counts, visible) == 0).all()
    assert np.ptp(counts[visible]) <= 1


def test_labelled_of_unequal_classes(toy):
    visible = np.array([0, 4, 8, 12, 16, 20, 1])  # six of class 0, one of class 1
    source = stream(hide_labels(toy, visible), 8, seed=0, labelled_batch_size=7)
    for step in range(5):
        assert sorted(source.indices(step)["labelled"]) == sorted(visible)


def test_labelled_examples_come_with_their_targets(toy):
    """Under names of their own: what the other examples' targets are is not among them."""
    split = toy._replace(targets={"number": np.arange(40)})
    source = stream(hide_labels(split, np.arange(4)), 8, seed=0, labelled_batch_size=6)
    batch, rows = source.batch(1), source.indices(1)
    np.testing.assert_array_equal(batch["labelled_number"], rows["labelled"])
    np.testing.assert_array_equal(batch["number"], rows["images"])
    assert set(batch["labelled_number"].tolist()) <= set(range(4))


@pytest.mark.parametrize("hidden", [True, False])
def test_gather_on_a_device(toy, hidden):
    split = hide_labels(toy, np.arange(4)) if hidden else toy
    source = stream(split, 7, seed=0, labelled_batch_size=3, repeats=2, value_range=(-0.3, 1.1))
    arrays = jax.device_put(source.arrays)
    gather = jax.jit(source.gather)
    for step in range(3):
        expected, found = source.batch(step), gather(arrays, source.indices(step))
        assert expected.keys() == found.keys()
        for key in expected:
            assert found[key].dtype == expected[key].dtype
            np.testing.assert_array_equal(np.asarray(found[key]), expected[key])


def test_indices_are_small(toy):
    found = stream(toy, 4, seed=0, labelled_batch_size=2).indices(10**9)
    assert {key: value.dtype.name for key, value in found.items()} == {
        "images": "int32",
        "labelled": "int32",
    }


def test_points_pass_unscaled():
    points = ring(64, seed=0)
    batch = stream(points, 64, seed=0).batch(0)
    assert batch["images"].shape == (64, 2) and batch["images"].dtype == np.float32
    np.testing.assert_array_equal(np.sort(batch["images"], 0), np.sort(points.images, 0))


def test_images_are_those_of_to_float(toy):
    source = stream(toy, 8, seed=0)
    rows = source.indices(2)["images"]
    np.testing.assert_array_equal(source.batch(2)["images"], to_float(toy.images[rows]))


def test_errors(toy):
    with pytest.raises(ValueError, match="batch_size=41"):
        stream(toy, 41, seed=0)
    with pytest.raises(ValueError, match="seed=-1"):
        stream(toy, 4, seed=-1)
    with pytest.raises(ValueError, match="value_range="):
        stream(toy, 4, seed=0, value_range=(1.0, -1.0))
    with pytest.raises(ValueError, match="step=-1"):
        stream(toy, 4, seed=0).batch(-1)
    with pytest.raises(ValueError, match="labelled_batch_size=2, but no label"):
        stream(Split(toy.images, np.full(40, -1, np.int32)), 4, seed=0, labelled_batch_size=2)
