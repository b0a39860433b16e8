"""Frechet distance by class and the classification accuracy score."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from gan_mtl.metrics import (
    classification_accuracy_score,
    frechet_distance,
    intra_class_frechet,
    moments,
)

RNG = np.random.default_rng(0)


def test_the_mean_over_classes_each_counted_alike():
    real, fake = RNG.normal(size=(60, 4)), RNG.normal(size=(90, 4))
    a, b = np.repeat([0, 2, 5], [10, 20, 30]), np.repeat([5, 0, 2], [15, 50, 25])
    expected = [frechet_distance(*moments(real[a == c]), *moments(fake[b == c])) for c in (0, 2, 5)]
    got = intra_class_frechet(real, a, fake, b)
    np.testing.assert_allclose(got.by_class, expected)
    assert got.mean == pytest.approx(sum(expected) / 3)
    assert got.classes.tolist() == [0, 2, 5]


def test_it_sees_labels_that_are_ignored():
    labels = np.arange(400) % 2
    real = RNG.normal(size=(400, 2)) + 10 * labels[:, None]
    fake = RNG.normal(size=(400, 2)) + 10 * labels[:, None]
    overall = frechet_distance(*moments(real), *moments(fake))
    right, swapped = (intra_class_frechet(real, labels, fake, b) for b in (labels, 1 - labels))
    assert overall < 0.5 and right.mean < 0.5
    assert swapped.mean == pytest.approx(200, rel=0.1)


def test_trained_on_fakes_and_tested_on_reals():
    labels = np.arange(300) % 3
    real = 5 * np.eye(3)[labels] + RNG.normal(size=(300, 3))
    fake = np.where(labels[:, None] == 2, 50.0, 5 * np.eye(3)[labels])  # class 2 is never right

    def fit(images, classes):
        assert images is fake and len(classes) == 300
        return KNeighborsClassifier(1).fit(images, classes).predict

    got = classification_accuracy_score(fit, fake, labels, real, labels)
    assert got.recall[:2].min() > 0.9 and got.recall[2] == 0
    assert got.accuracy == pytest.approx(got.recall.mean())


def test_bad_input_is_refused_by_name():
    x, labels = np.ones((4, 2)), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"only one side has \[1, 3\]"):
        intra_class_frechet(x, labels, x, np.array([0, 0, 3, 3]))
    with pytest.raises(ValueError, match="fake: class 0 has one example"):
        intra_class_frechet(x, labels, x, np.array([0, 1, 1, 1]))
    with pytest.raises(ValueError, match=r"real_labels: .*\(4,\), got \(3,\)"):
        intra_class_frechet(x, labels[:3], x, labels)
    with pytest.raises(TypeError, match=r"fake_labels: .*float64"):
        intra_class_frechet(x, labels, x, labels * 1.0)
