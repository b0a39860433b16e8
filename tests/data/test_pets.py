"""Oxford-IIIT Pet: records as tensorflow-datasets decodes them, into targets of one size."""

import io
import types

import jax
import numpy as np
import optax
import pytest
from PIL import Image

from gan_mtl import data, games, nets
from gan_mtl.data import pets, tfds
from gan_mtl.games import Task
from gan_mtl.update import alternating

NOWHERE = np.zeros(4, np.float32)


def record(height=40, width=60, box=(0.25, 0.3, 0.5, 0.7), species=1, label=5):
    """A grey picture with a white pet in it, between a quarter and three quarters of each side."""
    image = np.full((height, width, 3), 90, np.uint8)
    trimap = np.full((height, width, 1), 2, np.uint8)
    y, x = height // 4, width // 4
    trimap[y - 2 : -y + 2, x - 2 : -x + 2] = 3
    trimap[y:-y, x:-x] = 1
    image[trimap[..., 0] == 1] = 255
    return {
        "image": image,
        "label": label,
        "species": species,
        "file_name": b"beagle_1.jpg",
        "segmentation_mask": trimap,
        "head_bbox": np.asarray(box, np.float32),
    }


def builder(**splits):
    """A prepared set as tensorflow-datasets shows it, with the features of the real one."""
    from tensorflow_datasets import features as f

    features = f.FeaturesDict(
        {
            "image": f.Image(encoding_format="jpeg"),
            "label": f.ClassLabel(names=[f"breed {i}" for i in range(37)]),
            "species": f.ClassLabel(names=["Cat", "Dog"]),
            "file_name": f.Text(),
            "segmentation_mask": f.Image(shape=(None, None, 1), use_colormap=True),
            "head_bbox": f.BBoxFeature(),
        }
    )

    def rows(split):
        found = splits[split]
        made = {
            "__len__": lambda self: len(found),
            "__getitems__": lambda self, indices: [found[i] for i in indices],
        }
        return type("Rows", (), made)()

    keys = ("image", "label")
    info = types.SimpleNamespace(features=features, splits=splits, supervised_keys=keys)
    return types.SimpleNamespace(info=info, as_data_source=rows)


@pytest.fixture
def prepared(monkeypatch):
    train = [record(40, 60), record(60, 40, label=36, species=0), record(50, 50, NOWHERE, label=0)]
    test = [record(40, 44, NOWHERE, label=2)]
    made = builder(train=train, test=test)
    monkeypatch.setattr(tfds, "_builder", lambda name, place: made)


@pytest.mark.parametrize("name", ["tfds:oxford_iiit_pet", "tfds:oxford_iiit_pet:4.0.0"])
def test_load(prepared, tmp_path, name):
    found = data.load(name, tmp_path, size=20)
    assert found.num_classes == 37 and found.train.labels.tolist() == [5, 36, 0]
    targets = found.train.targets
    assert {key: (x.dtype.name, x.shape) for key, x in targets.items()} == {
        "species": ("int32", (3,)),
        "mask": ("uint8", (3, 20, 20)),
        "objects": ("float32", (3, 1, 5)),
    }
    assert targets["species"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(
        targets["objects"][:, 0],
        np.array([[4, 5, 16, 10, 1], [6, 2.5, 14, 10, 0], [0, 0, 0, 0, -2]], np.float32),
    )
    assert (found.test.targets["objects"][..., 4] == -2).all(), "the test pictures have no heads"
    data.verify(found.manifest, found)


def test_mask_lies_on_the_picture(prepared, tmp_path):
    found = data.load("tfds:oxford_iiit_pet", tmp_path, size=20).train
    mask = found.targets["mask"]
    assert set(np.unique(mask)) == {0, 1, 255}
    assert (found.images[mask == 1] > 150).all() and (found.images[mask == 0] < 130).all()


def test_breed_pixels_and_head_train_one_trunk(prepared, tmp_path):
    """The set's three tasks and the species: one step, which moves every head and the trunk."""
    side = (16, 16)
    split = data.load("tfds:oxford_iiit_pet", tmp_path, size=16).train
    linen = nets.from_linen
    tasks = (
        games.class_task(linen(nets.MapClassifier(37)), labelled=False, name="breed"),
        Task("species", linen(nets.MapClassifier(2)), targets="species"),
        games.segmentation_task(linen(nets.DenseHead(2, side, 4))),
        games.detection_task(linen(nets.CentreHead(2, 4)), side),
    )
    trunk = linen(nets.ConvPyramid((4, 6), 1, "batch"))
    game = games.multitask(trunk, tasks, optax.adam(1e-3))
    batch = data.stream(split, 3, 0).batch(0)
    updater = alternating(game)
    state = jax.jit(updater.init)(jax.random.key(0), batch)
    after, metrics = jax.jit(updater.update)(jax.random.key(0), state, batch)
    assert {f"model/{t.name}" for t in tasks} <= set(metrics)
    assert all(np.isfinite(x) for x in metrics.values())
    for group, params in state.params.items():
        still = jax.tree.map(np.array_equal, params, after.params[group])
        assert not any(jax.tree.leaves(still)), group


def test_one_size_need_not_be_given():
    found = tfds._read(builder(train=[record(), record()]), "oxford_iiit_pet", None)
    targets = found.splits["train"].targets
    assert targets["mask"].shape == (2, 40, 60)
    np.testing.assert_allclose(targets["objects"][0, 0], [18, 10, 42, 20, 1], rtol=1e-6)
    with pytest.raises(ValueError, match="give `size`"):
        tfds._read(builder(train=[record(), record(30)]), "oxford_iiit_pet", None)


def test_heads_are_cut_with_the_picture():
    found = pets.targets_of(record(40, 80, (0.0, 0.0, 0.5, 0.5)), 20, "x")
    assert found["objects"].tolist() == [[0, 0, 10, 10, 1]], "its left half is cropped"
    gone = pets.targets_of(record(40, 80, (0.0, 0.0, 0.5, 0.25)), 20, "x")
    assert gone["objects"].tolist() == [[0, 0, 0, 0, -1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"segmentation_mask": np.ones((40, 59, 1), np.uint8)},
            r"shape \[40, 59, 1\], its image is",
        ),
        (
            {"segmentation_mask": np.full((40, 60, 1), 4, np.uint8)},
            "has 4 in its segmentation_mask",
        ),
        ({"head_bbox": np.array([0.2, 0.2, 1.1, 0.4])}, "has the head_bbox .*within 0 .. 1"),
        ({"head_bbox": np.array([0.5, 0.2, 0.4, 0.4])}, "has the head_bbox"),
        ({"head_bbox": np.array([np.nan, 0.2, 0.4, 0.4])}, "has the head_bbox"),
        ({"segmentation_mask": np.full((40, 60, 1), 3, np.uint8)}, "example 1 is 255"),
        (
            {"species": 2},
            r"'objects': class: example 1 has 2.0 at \[0\]; give a whole class 0 .. 1",
        ),
    ],
)
def test_bad_records(change, message):
    made = builder(train=[record(), {**record(), **change}])
    with pytest.raises(ValueError, match=rf"tfds:oxford_iiit_pet: train .*{message}"):
        tfds._read(made, "oxford_iiit_pet", 20)


def test_records_of_an_older_version():
    old = {key: value for key, value in record().items() if key != "head_bbox"}
    with pytest.raises(ValueError, match="has no head_bbox; prepare version 4"):
        pets.targets_of(old, 20, "x")


def test_masks_are_decoded_without_tensorflow():
    trimap = record()["segmentation_mask"]
    file = io.BytesIO()
    Image.fromarray(trimap[..., 0]).save(file, "PNG")
    feature = builder().info.features["segmentation_mask"]
    np.testing.assert_array_equal(feature.decode_example_np(file.getvalue()), trimap)
