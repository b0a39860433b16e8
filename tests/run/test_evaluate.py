"""What is measured: batches that are padded, samples of fixed latents, scores with a protocol."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import regression
from scipy import linalg

from gan_mtl import draws
from gan_mtl.data import Split, to_float
from gan_mtl.run import evaluate
from gan_mtl.run.config import Spec
from gan_mtl.types import Game, Objective, Outcome, Turn, starting

CLASSES = 3
SPEC = Spec((2, 2, 1), CLASSES, (0.0, 1.0), 6)


def noise(variables, n, labels, context):
    """Images whose first pixel is the class asked for; the others are drawn."""
    images = draws.uniform(n, (2, 2, 1), context)
    return images if labels is None else images.at[:, 0, 0, 0].set(labels.astype(images.dtype))


def scale(variables, images, context):
    """The images' sums times a weight, and whether the pass is one of training."""
    sums = variables.params["w"]["w"] * images.sum(axis=(1, 2, 3))
    return jnp.stack([sums, jnp.full_like(sums, float(context.train))], axis=1)


def noisy(variables, images, context):
    """The images under noise of their own."""
    return images + draws.normal(len(images), images.shape[1:], context)


GAME = Game(
    lambda key, batch: {"w": {"params": {"w": jnp.ones(())}}},
    (Turn("model", lambda v, b, c: Outcome({}, v), {"x": Objective({"w": 1.0})}, optax.sgd(0.1)),),
    sample=noise,
    predict={"scale": scale, "noisy": noisy},
)


@pytest.fixture(scope="module")
def bind():
    """The compiled evaluator of the game."""
    return evaluate.evaluator(GAME, SPEC)


@pytest.fixture
def batches_of_four(monkeypatch):
    monkeypatch.setattr(evaluate, "BATCH", 4)


def variables(w=1.0):
    return starting({"w": {"params": {"w": jnp.asarray(w)}}})


def images_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 1), np.uint8)


@pytest.mark.parametrize("n", [1, 4, 5, 11])
def test_batches_are_of_one_size_and_what_pads_them_is_cut_off(n, batches_of_four):
    sizes, places = [], []

    def first_pixels(images, first):
        sizes.append(len(images))
        places.append(first)
        return images[:, 0, 0]

    images = images_of(n)
    np.testing.assert_array_equal(evaluate.in_batches(first_pixels, images), images[:, 0, 0])
    assert set(sizes) == {min(n, 4)} and places == list(range(0, n, 4))


def test_predictions_are_of_images_in_the_value_range_outside_training(bind, batches_of_four):
    images = images_of(10)
    for w in (1.0, -2.0):  # the same program, other variables
        predict, _ = bind(variables(w), 0)
        found = predict("scale", images)
        expected = w * (images / 255.0).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
        assert not found[:, 1].any()


def test_every_image_has_draws_of_its_own_whatever_the_batches(bind, monkeypatch):
    predict, _ = bind(variables(), 0)
    images = np.repeat(images_of(1), 10, axis=0)  # equal: only the draws tell them apart
    found = {}
    for size in (4, 10):  # the last batch of four is padded
        monkeypatch.setattr(evaluate, "BATCH", size)
        found[size] = predict("noisy", images)
        assert len(np.unique(found[size])) == found[size].size
        np.testing.assert_array_equal(predict("noisy", images[:8]), found[size][:8])
    np.testing.assert_allclose(found[4], found[10], rtol=1e-6)
    assert not np.isin(predict("noisy", images, 1), found[10]).any()


def test_samples_are_the_same_all_along_and_belong_to_the_seed(bind, batches_of_four):
    _, sample = bind(variables(), 0)
    ten = sample(10)
    np.testing.assert_array_equal(ten, sample(10, None))
    np.testing.assert_array_equal(ten[:6], sample(6))
    np.testing.assert_array_equal(ten, bind(variables(2.0), 0)[1](10))
    assert len(np.unique(ten)) == ten.size  # no batch repeats another
    assert not np.isin(bind(variables(), 1)[1](10), ten).any()


def test_every_sample_is_of_the_class_that_was_asked_for(bind, batches_of_four):
    _, sample = bind(variables(), 0)
    asked = np.array([2, 0, 1, 1, 0, 2, 2])
    found = sample(7, asked)
    np.testing.assert_array_equal(found[:, 0, 0, 0], asked)
    np.testing.assert_array_equal(found[:, 1], sample(7)[:, 1])


def evaluation(**options):
    defaults = {
        "game": GAME,
        "predict": lambda name, images: np.zeros((len(images), CLASSES)),
        "sample": lambda n, labels: np.zeros((n, 2, 2, 1)),
        "dataset": regression.dataset(),
        "spec": SPEC,
        "features": None,
        "seed": 0,
        "fresh": lambda: lambda name, images: np.zeros((len(images), CLASSES)),
    }
    return evaluate.Evaluation(**{**defaults, **options})


def test_class_scores_count_the_test_images_by_label_and_prediction():
    labels = np.array([0, 0, 0, 1, 1, 2], np.int32)
    guesses = np.array([0, 0, 1, 1, 1, 0])
    asked = []

    def predict(name, images):
        asked.append((name, len(images)))
        return np.eye(CLASSES)[guesses]

    found = evaluate.class_scores(evaluation(predict=predict), Split(images_of(6), labels))
    assert asked == [("class", 6)]
    assert found["test_accuracy"] == pytest.approx(4 / 6)
    assert found["confusion"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    # F1: 2 tp / (2 tp + fp + fn) = 4/6, 4/5 and 0.
    assert found["test_macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    zeros = evaluate.class_scores(evaluation())  # by default the test split
    assert zeros["test_accuracy"] == (regression.dataset().test.labels == 0).mean()


def test_unit_range_maps_black_and_white_to_minus_one_and_one():
    images = np.linspace(-3.0, 5.0, 9).reshape(1, 3, 3, 1)
    found = evaluate.unit_range(images, (-3.0, 5.0))
    np.testing.assert_allclose(found.ravel(), np.linspace(-1, 1, 9))
    assert found.dtype == np.float32


def frechet(a, b):
    """The formula in float64, by matrix square root."""
    covs = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(linalg.sqrtm(covs[0] @ covs[1]))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * root)


def test_distances_tell_missing_modes_from_bad_samples():
    draw = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    real = np.concatenate([c + draw.normal(size=(30, 2)) for c in centres])
    same = evaluate.distances(real, real)
    assert same["frechet"] == pytest.approx(0.0, abs=1e-6)
    assert same["precision"] == same["recall"] == same["coverage"] == 1.0
    one_mode = evaluate.distances(real, real[:30])
    assert one_mode["precision"] == 1.0 and one_mode["recall"] < 0.6
    spoilt = np.concatenate([real, real + 100.0])
    bad = evaluate.distances(real, spoilt)
    assert bad["precision"] == pytest.approx(0.5) and bad["recall"] == 1.0
    for fake, found in ((real[:30], one_mode), (spoilt, bad)):
        assert found["frechet"] == pytest.approx(frechet(real, fake), rel=1e-4)
        assert found["kernel"] > same["kernel"]


@pytest.mark.parametrize("classes", [0, CLASSES])
def test_sample_scores_carry_their_protocol_and_whether_classes_were_met(classes):
    """Features are the pixels; the generator gives test images back, brightened to a class."""
    data = regression.dataset()
    flat = evaluate.FeatureNetwork(
        features=lambda images: images.reshape(len(images), -1).astype(np.float64),
        classify=lambda images: np.where(images[:, 0, 0, 0] > 0, 1, 0),
        name="pixels",
        digest="abc",
        accuracy=0.9,
    )
    asked = []

    def sample(n, labels):
        asked.append(labels)
        return data.test.images[:n] / 255.0  # in SPEC's range; the network takes -1 .. 1

    game = GAME._replace(classes=classes, ema={"gen": 10.0})
    e = evaluation(game=game, sample=sample, features=flat, dataset=data)
    found = evaluate.sample_scores(e, 8)
    real = to_float(data.test.images).reshape(9, -1).astype(np.float64)
    assert found["frechet"] == pytest.approx(frechet(real, real[:8]), rel=1e-3)
    assert found["protocol"] == {
        "features": "pixels",
        "features_hash": "abc",
        "real": "9 test images",
        "fake": 8,
        "ema": True,
    }
    if classes:
        np.testing.assert_array_equal(asked[0], [0, 1, 2, 0, 1, 2, 0, 1])
        bright = (real[:8, 0] > 0).astype(int)
        assert found["classified_as_asked"] == (bright == asked[0]).mean()
    else:
        assert asked == [None] and "classified_as_asked" not in found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set, the scoring network trained on it for some steps, and its folder."""
    folder = tmp_path_factory.mktemp("features")
    draw = np.random.default_rng(0)

    def split(n):
        labels = (np.arange(n) % 2).astype(np.int32)
        images = draw.integers(0, 100, (n, 8, 8, 1)) + 150 * labels[:, None, None, None]
        return Split(images.astype(np.uint8), labels)

    data = regression.dataset()._replace(
        name="brightness", train=split(32), test=split(10), num_classes=2
    )
    return data, evaluate.train_features(data, folder, steps=8), folder


def test_the_feature_network_learns_and_gives_features(trained):
    data, network, _ = trained
    assert network.accuracy == 1.0 and network.name.startswith("cnn 32-64-64, 8 steps, brightness")
    images = to_float(data.test.images)
    assert network.features(images).shape == (10, 64)
    np.testing.assert_array_equal(network.classify(images), data.test.labels)


def test_the_feature_network_is_kept_and_read_back(trained):
    data, network, folder = trained
    (path,) = folder.iterdir()
    written = path.stat().st_mtime_ns
    again = evaluate.train_features(data, folder, steps=8)
    assert path.stat().st_mtime_ns == written and again.digest == network.digest
    images = to_float(data.test.images)
    np.testing.assert_array_equal(again.features(images), network.features(images))
    with np.load(path) as saved:
        other = {name: saved[name] + 1.0 for name in saved.files}
    np.savez(path, **other)  # what is there is used, and its digest says which
    assert evaluate.train_features(data, folder, steps=8).digest != network.digest


def test_other_training_data_is_another_network_and_test_labels_are_not_read(trained, tmp_path):
    data, network, _ = trained
    hidden = data.test._replace(labels=1 - data.test.labels)
    same = evaluate.train_features(data._replace(test=hidden), tmp_path, steps=8)
    assert same.digest == network.digest and same.accuracy == 0.0
    flipped = data.train._replace(labels=1 - data.train.labels)
    other = evaluate.train_features(data._replace(train=flipped), tmp_path, steps=8)
    assert other.digest != network.digest and len(list(tmp_path.iterdir())) == 2
