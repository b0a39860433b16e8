"""Multi-label scores are scikit-learn's, however the stream is cut."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

from gan_mtl.metrics.multilabel import MultilabelScores, multilabel_report

RNG = np.random.default_rng(0)
LABELS = (RNG.uniform(size=(120, 6)) < [0.5, 0.1, 0.9, 0.3, 0.0, 0.2]).astype(int)
PREDICTIONS = np.where(RNG.uniform(size=LABELS.shape) < 0.8, LABELS, 1 - LABELS)
PREDICTIONS[:, 5] = 0  # never predicted; label 4 never occurs
LABELS[:, 4] = 0


def streamed(labels, predictions, cuts):
    scores = MultilabelScores.empty(labels.shape[1])
    for a, b in zip(np.split(labels, cuts), np.split(predictions, cuts), strict=True):
        scores = scores.add(a, b)
    return scores


def same(one, two):
    assert type(one) is type(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("zero_division", [0.0, 1.0])
@pytest.mark.parametrize("k", [1, 5, 6])
@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_against_scikit_learn(zero_division, k, dtype):
    labels, predictions = LABELS[:, -k:].astype(dtype), PREDICTIONS[:, -k:].astype(dtype)
    got = multilabel_report(labels, predictions, zero_division)
    want = {"zero_division": zero_division}
    if k == 1:  # one column is to scikit-learn a binary problem, of which we want the class 1
        want["labels"] = [1]
        labels, predictions = labels[:, 0], predictions[:, 0]
    by_label = precision_recall_fscore_support(labels, predictions, **want)
    for a, b in zip((got.precision, got.recall, got.f1, got.support), by_label, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    for name, average in (("macro", got.macro), ("micro", got.micro)):
        averages = precision_recall_fscore_support(labels, predictions, average=name, **want)
        np.testing.assert_allclose(average, averages[:3], rtol=1e-12)
    assert got.exact_match == pytest.approx(accuracy_score(labels, predictions), rel=1e-12)
    assert got.hamming_accuracy == pytest.approx(1 - hamming_loss(labels, predictions), rel=1e-12)
    assert got.examples == 120


def test_by_hand():
    """Label 2 occurs once and is never predicted, label 3 neither."""
    labels = [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    got = multilabel_report(labels, [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(got.precision, [1, 0.5, 0, 0])
    np.testing.assert_allclose(got.recall, [0.5, 1, 0, 0])
    np.testing.assert_allclose(got.f1, [2 / 3, 2 / 3, 0, 0])
    np.testing.assert_array_equal(got.support, [2, 1, 1, 0])
    np.testing.assert_allclose(got.micro, [2 / 3, 0.5, 4 / 7])
    np.testing.assert_allclose(got.macro, [3 / 8, 3 / 8, 1 / 3])
    assert got.exact_match == pytest.approx(1 / 3)
    assert got.hamming_accuracy == pytest.approx(9 / 12)


def test_right_and_wrong_everywhere():
    full = multilabel_report(LABELS[:, :4], LABELS[:, :4])
    assert full.exact_match == full.hamming_accuracy == full.micro.f1 == full.macro.f1 == 1.0
    none = multilabel_report(LABELS[:, :4], 1 - LABELS[:, :4])
    assert none.exact_match == none.hamming_accuracy == none.micro.f1 == none.macro.f1 == 0.0


@pytest.mark.parametrize("cuts", [[1, 2, 3], [50, 50], [0, 120]])
def test_neither_batches_nor_their_order_matter(cuts):
    whole = multilabel_report(LABELS, PREDICTIONS)
    same(streamed(LABELS, PREDICTIONS, cuts).report(), whole)
    order = np.random.default_rng(1).permutation(120)
    same(streamed(LABELS[order], PREDICTIONS[order], cuts).report(), whole)


def test_merged_streams_are_one():
    whole = streamed(LABELS, PREDICTIONS, [])
    one, two = (
        streamed(LABELS[:33], PREDICTIONS[:33], []),
        streamed(LABELS[33:], PREDICTIONS[33:], []),
    )
    same(one.merge(two), whole)
    same(two.merge(one), whole)
    same(whole.merge(MultilabelScores.empty(6)), whole)


def test_add_leaves_the_value_as_it_was():
    empty = MultilabelScores.empty(6)
    empty.add(LABELS, PREDICTIONS)
    same(empty, MultilabelScores.empty(6))


def test_without_examples():
    got = MultilabelScores.empty(3).add(np.zeros((0, 3), int), np.zeros((0, 3), int)).report()
    assert np.isnan(got.exact_match) and np.isnan(got.hamming_accuracy) and got.examples == 0
    assert np.isnan([*got.micro, *got.macro, *got.f1]).all()
    assert np.isnan(MultilabelScores.empty(3).report(zero_division=1.0).micro).all()


def test_bad_input_is_refused_by_name():
    scores = MultilabelScores.empty(2).add([[0, 1]], [[1, 1]])
    with pytest.raises(ValueError, match="labels: sample 2, label 1: expected 0 or 1, got -1"):
        scores.add([[0, 1], [1, -1]], [[0, 1], [1, 1]])
    with pytest.raises(ValueError, match="predictions: sample 1, label 0: expected 0 or 1, got 2"):
        scores.add([[0, 1]], [[2, 1]])
    with pytest.raises(TypeError, match=r"predictions: .* got dtype float64; compare scores with"):
        scores.add([[0, 1]], [[0.2, 0.8]])
    with pytest.raises(
        ValueError, match=r"predictions: expected 0 or 1 of shape \[n, 2\], got \(1, 3\)"
    ):
        scores.add([[0, 1]], [[0, 1, 1]])
    with pytest.raises(ValueError, match="labels and predictions: expected one each, got 1 and 2"):
        scores.add([[0, 1]], [[0, 1], [0, 0]])
    with pytest.raises(ValueError, match="num_labels: expected equal ones, got 2 and 3"):
        scores.merge(MultilabelScores.empty(3))
    with pytest.raises(ValueError, match="num_labels: expected at least 1, got 0"):
        MultilabelScores.empty(0)
    for bad in (np.zeros((0, 3), int), np.zeros(3, int)):
        with pytest.raises(ValueError, match=r"labels: expected 0 or 1 of shape \[n, k\], got"):
            multilabel_report(bad, bad)
