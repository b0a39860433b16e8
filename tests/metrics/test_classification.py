"""The classification report is scikit-learn's."""

import functools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from gan_mtl.metrics import ClassificationScores, accuracy, classification_report

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 200)
PREDICTIONS = np.where(RNG.uniform(size=200) < 0.7, LABELS, RNG.integers(0, 5, 200))


@pytest.mark.parametrize("zero_division", [0.0, 1.0])
@pytest.mark.parametrize("k", [5, 7])  # 7: two classes never occur
def test_against_scikit_learn(k, zero_division):
    got = classification_report(LABELS, PREDICTIONS, k, zero_division)
    options = {"labels": list(range(k)), "zero_division": zero_division}
    want = precision_recall_fscore_support(LABELS, PREDICTIONS, **options)
    for a, b in zip((got.precision, got.recall, got.f1, got.support), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    for name, average in (("macro", got.macro), ("micro", got.micro)):
        want = precision_recall_fscore_support(LABELS, PREDICTIONS, average=name, **options)
        np.testing.assert_allclose(average, want[:3], rtol=1e-12)
    np.testing.assert_array_equal(
        got.confusion, confusion_matrix(LABELS, PREDICTIONS, labels=range(k))
    )
    assert got.accuracy == accuracy(LABELS, PREDICTIONS) == accuracy_score(LABELS, PREDICTIONS)


@pytest.mark.parametrize("cuts", [(50,), (1, 2, 199)])
def test_neither_batches_nor_their_order_matter(cuts):
    whole = classification_report(LABELS, PREDICTIONS, 6)
    parts = [
        ClassificationScores.empty(6).add(*part)
        for part in zip(np.split(LABELS, cuts), np.split(PREDICTIONS, cuts), strict=True)
    ]
    for order in (parts, parts[::-1]):
        found = functools.reduce(ClassificationScores.merge, order).report()
        np.testing.assert_array_equal(found.confusion, whole.confusion)
        np.testing.assert_array_equal(found.f1, whole.f1)
        assert (found.accuracy, found.macro) == (whole.accuracy, whole.macro)


def test_without_examples():
    report = ClassificationScores.empty(3).report(zero_division=1.0)
    assert np.isnan([report.accuracy, *report.f1, *report.macro, *report.micro]).all()


def test_by_hand():
    """Class 2 is never predicted, class 3 never occurs."""
    report = classification_report([0, 0, 1, 2], [0, 1, 1, 3])
    np.testing.assert_array_equal(report.support, [2, 1, 1, 0])
    np.testing.assert_allclose(report.precision, [1, 0.5, 0, 0])
    np.testing.assert_allclose(report.recall, [0.5, 1, 0, 0])
    np.testing.assert_allclose(report.f1, [2 / 3, 2 / 3, 0, 0])
    assert report.accuracy == 0.5
    assert report.confusion[0, 1] == 1 and report.confusion[1, 0] == 0  # row: truth
    filled = classification_report([0, 0, 1, 2], [0, 1, 1, 3], zero_division=1.0)
    np.testing.assert_allclose(filled.precision, [1, 0.5, 1, 0])
    np.testing.assert_allclose(filled.recall, [0.5, 1, 0, 1])


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"predictions.*\(3, 5\).*argmax"):
        classification_report([0, 1, 2], np.ones((3, 5), int))
    with pytest.raises(ValueError, match="labels: class -1 found; leave hidden labels out"):
        accuracy([0, -1], [0, 1])
    with pytest.raises(TypeError, match=r"predictions.*float64"):
        accuracy([0, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match="got 2 and 3"):
        accuracy([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="class 4 occurs, but num_classes is 3"):
        classification_report([0, 4], [0, 1], 3)
    with pytest.raises(ValueError, match="expected equal ones, got 2 and 3"):
        ClassificationScores.empty(2).merge(ClassificationScores.empty(3))
    with pytest.raises(ValueError, match="num_classes: expected at least 1, got 0"):
        ClassificationScores.empty(0)
    with pytest.raises(ValueError, match=r"labels.*\(0,\)"):
        accuracy(np.zeros(0, int), np.zeros(0, int))
