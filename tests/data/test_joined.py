"""Several sets side by side: whose image is whose, own orders, own classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import data

COUNTS = {"long": (23, 3), "short": (9, 2)}


def one(name, count, classes, side=4):
    """Images whose first pixel is their number, whose second is the class."""
    number = np.arange(count)
    images = np.zeros((count, side, side, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = number, number % classes
    split = data.Split(images, (number % classes).astype(np.int32))
    names = tuple(f"c{k}" for k in range(classes))
    return data.assemble(name, split, data.take(split, np.arange(6)), names, source="made")


@pytest.fixture
def whole():
    return data.joined("both", [one(name, *of) for name, of in COUNTS.items()])


def test_images_labels_and_sources_stand_one_after_another(whole):
    assert whole.train.num_examples == 32 and whole.num_classes == 5
    assert whole.label_names == ("long/c0", "long/c1", "long/c2", "short/c0", "short/c1")
    np.testing.assert_array_equal(whole.train.targets["source"], [0] * 23 + [1] * 9)
    np.testing.assert_array_equal(whole.train.labels[:4], [0, 1, 2, 0])
    np.testing.assert_array_equal(whole.train.labels[23:26], [3, 4, 3])
    assert [tuple(source) for source in whole.sources] == [("long", 0, 3), ("short", 3, 2)]


def test_the_manifest_holds_the_front_end_of_every_part_that_has_one(whole):
    spoken, plain = one("spoken", 12, 2), one("plain", 12, 2)
    manifest = {**spoken.manifest, "front_end": {"hop": 64, "sha256": "abc"}}
    found = data.joined("both", [plain, spoken._replace(manifest=manifest)])
    assert found.manifest["front_end"] == {"spoken": {"hop": 64, "sha256": "abc"}}
    assert data.front_end_hashes(found) == {"spoken": "abc"}
    assert data.with_fraction(found, 0.5, seed=0).manifest["front_end"].keys() == {"spoken"}
    assert data.front_end_hashes(spoken._replace(manifest=manifest)) == {"spoken": "abc"}
    assert "front_end" not in whole.manifest and data.front_end_hashes(whole) == {}
    other = {**found.manifest, "front_end": {"spoken": {"hop": 80, "sha256": "def"}}}
    with pytest.raises(ValueError, match=r"front_end.spoken.hop: the manifest has 80"):
        data.verify(other, found)
    del other["front_end"]  # as joined sets were once described
    data.verify(other, found)


@pytest.mark.parametrize("name", COUNTS)
def test_a_part_is_the_set_that_it_was(whole, name):
    found, expected = data.part(whole, whole.train, name), one(name, *COUNTS[name]).train
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


def batches(whole, steps, **options):
    source = data.joined_stream(whole.train, whole.sources, 4, 3, value_range=(0, 255), **options)
    return source, [source.batch(step) for step in range(steps)]


@pytest.mark.parametrize("name", COUNTS)
def test_every_source_is_worked_through_in_an_order_of_its_own(whole, name):
    count, classes = COUNTS[name]
    _, found = batches(whole, count)
    numbers = np.concatenate([batch[f"images/{name}"][:, 0, 0, 0] for batch in found])
    np.testing.assert_array_equal(np.sort(numbers), np.repeat(np.arange(count), 4))
    epoch = numbers[:count]
    np.testing.assert_array_equal(np.sort(epoch), np.arange(count))
    assert not np.array_equal(epoch, np.arange(count))
    for batch in found:
        labels, images = batch[f"labels/{name}"], batch[f"images/{name}"]
        assert labels.dtype == np.int32 and images.dtype == np.float32
        np.testing.assert_array_equal(labels, images[:, 0, 0, 0] % classes)


def test_what_stays_on_a_device_gives_the_same_batches(whole):
    source, found = batches(whole, 3, repeats=2)
    assert source.arrays and source.indices and source.gather
    held = jax.tree.map(jnp.asarray, source.arrays)
    for step, batch in enumerate(found):
        there = jax.jit(source.gather)(held, source.indices(step))
        assert set(there) == set(batch)
        for name, values in batch.items():
            np.testing.assert_array_equal(there[name], values)
            assert there[name].dtype == values.dtype
            assert len(values) == 8


def test_labels_that_are_hidden_are_in_no_batch(whole):
    hidden = data.with_visible(whole, np.array([0, 1, 2, 25]))
    batch = data.joined_stream(hidden.train, hidden.sources, 4, 0).batch(0)
    assert set(batch) == {"images/long", "images/short"}


def test_few_labels_are_of_the_last_source_and_may_come_apart(whole):
    few = data.with_labels(whole, 2, seed=0)
    shown = {n: data.part(few, few.train, n).labels for n in COUNTS}
    assert (shown["long"] >= 0).all()
    assert np.bincount(shown["short"][shown["short"] >= 0]).tolist() == [2, 2]
    source = data.joined_stream(few.train, few.sources, 4, 3, labelled_batch_size=2)
    found = [source.batch(step) for step in range(6)]
    entries = {"images/long", "labels/long", "images/short"}
    assert set(found[0]) == entries | {"labelled_images/short", "labelled_labels/short"}
    numbers = set()
    for batch in found:
        images, labels = batch["labelled_images/short"], batch["labelled_labels/short"]
        pixels = np.rint((images[:, 0, :2, 0] + 1) * 127.5).astype(int)
        np.testing.assert_array_equal(labels, pixels[:, 1])
        numbers |= set(pixels[:, 0].tolist())
    assert numbers == set(np.flatnonzero(shown["short"] >= 0).tolist())
    plain = data.joined_stream(few.train, few.sources, 4, 3)
    np.testing.assert_array_equal(plain.batch(1)["images/short"], found[1]["images/short"])
    held = jax.tree.map(jnp.asarray, source.arrays)
    assert source.gather is not None and source.indices is not None
    there = source.gather(held, source.indices(1))
    assert all(np.array_equal(there[name], found[1][name]) for name in found[1])


def test_a_fraction_keeps_sources_and_classes_in_proportion():
    whole = data.joined("both", [one("long", 120, 3), one("short", 60, 2)])
    kept = data.with_fraction(whole, 0.1, seed=1)
    assert np.bincount(kept.train.labels).tolist() == [4, 4, 4, 3, 3]
    assert [data.part(kept, kept.train, n).num_examples for n in COUNTS] == [12, 6]
    assert kept.test is whole.test
    assert data.with_fraction(whole, 1.0, seed=1) is whole
    other = data.with_fraction(whole, 0.1, seed=2)
    assert not np.array_equal(kept.train.images, other.train.images)
    data.verify(kept.manifest, kept)


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5])
def test_other_fractions_are_refused(whole, fraction):
    with pytest.raises(ValueError, match=f"fraction={fraction}"):
        data.with_fraction(whole, fraction, seed=0)


def test_what_cannot_be_joined_is_named(whole):
    with pytest.raises(ValueError, match="two or more different"):
        data.joined("x", [one("a", 9, 2)])
    with pytest.raises(ValueError, match="two or more different"):
        data.joined("x", [one("a", 9, 2), one("a", 9, 2)])
    with pytest.raises(ValueError, match="'b': \\[5, 5, 1\\]"):
        data.joined("x", [one("a", 9, 2), one("b", 9, 2, side=5)])
    third = one("c", 9, 2)
    held = third._replace(train=third.train._replace(targets={"t": np.zeros(9)}))
    with pytest.raises(ValueError, match=r"'c' has targets \['t'\], and 'a' has \[\]"):
        data.joined("x", [one("a", 9, 2), held])
    with pytest.raises(ValueError, match="'c' has a validation split"):
        data.joined("x", [one("a", 9, 2), third._replace(validation=third.test)])
    with pytest.raises(ValueError, match="no source 'middle'"):
        data.part(whole, whole.train, "middle")
    with pytest.raises(ValueError, match="source 'short': batch_size=10"):
        data.joined_stream(whole.train, whole.sources, 10, 0)


def test_targets_that_all_have_stay():
    def held(name, start):
        found = one(name, 9, 2)
        splits = {
            key: getattr(found, key)._replace(
                targets={"t": start + np.arange(getattr(found, key).num_examples)}
            )
            for key in ("train", "test")
        }
        return found._replace(**splits)

    whole = data.joined("x", [held("a", 0), held("b", 100)])
    np.testing.assert_array_equal(whole.train.targets["t"], [*range(9), *range(100, 109)])
    found = data.part(whole, whole.test, "b")
    np.testing.assert_array_equal(found.targets["t"], np.arange(100, 106))
    floats = held("c", 0.5)
    with pytest.raises(ValueError, match="same targets, of one shape and dtype"):
        data.joined("x", [held("a", 0), floats])


def test_the_catalogue_joins_by_name(tmp_path):
    for name, count in (("one", 20), ("two", 10)):
        split = one(name, count, 2).train
        np.savez(tmp_path / f"{name}.npz", images=split.images, labels=split.labels)
    whole = data.load(f"joined:npz:{tmp_path}/one.npz+npz:{tmp_path}/two.npz")
    assert [source.num_classes for source in whole.sources] == [2, 2]
    with pytest.raises(ValueError, match=r"joined:NAME\+NAME"):
        data.load("joined:")
