"""Segmentation: scikit-learn's scores of all pixels, loops over pixels, and streams."""

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    recall_score,
)

from gan_mtl.metrics.segmentation import BoundaryScores, SegmentationScores, mean_iou

K = 5  # of which class 4 occurs nowhere, class 3 only where it is predicted


def blobs(n, h, w, seed, k=K - 1):
    """Masks of patches of a few pixels."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, k, (n, -(-h // 4), -(-w // 4)))
    return small.repeat(4, axis=1).repeat(4, axis=2)[:, :h, :w]


def images(n=6, h=17, w=23, seed=0, ignore=255):
    """Truth with ignored pixels, of which image 1 is full, and predictions that are near it."""
    rng = np.random.default_rng(seed)
    labels = blobs(n, h, w, seed, K - 2)
    predictions = np.roll(labels, 1, axis=2)
    predictions = np.where(rng.uniform(size=labels.shape) < 0.05, 3, predictions)
    labels = np.where(rng.uniform(size=labels.shape) < 0.1, ignore, labels)
    labels[1] = ignore
    return labels, predictions


def streamed(empty, labels, predictions, cuts=()):
    for a, b in zip(np.split(labels, cuts), np.split(predictions, cuts), strict=True):
        empty = empty.add(a, b)
    return empty


def close(one, two):
    assert type(one) is type(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("ignore", [255, -1, 7])
def test_against_scikit_learn(ignore):
    labels, predictions = images(ignore=ignore)
    got = SegmentationScores.empty(K, ignore).add(labels, predictions).report()
    y, p = labels[labels != ignore], predictions[labels != ignore]
    np.testing.assert_array_equal(got.confusion, confusion_matrix(y, p, labels=range(K)))
    assert got.confusion.dtype == np.int64
    occur = [0, 1, 2, 3]
    iou = jaccard_score(y, p, labels=occur, average=None)
    dice = f1_score(y, p, labels=occur, average=None)
    np.testing.assert_allclose(got.iou, [*iou, np.nan], rtol=1e-12)
    np.testing.assert_allclose(got.dice, [*dice, np.nan], rtol=1e-12)
    recall = recall_score(y, p, labels=[0, 1, 2], average=None)
    np.testing.assert_allclose(got.accuracy, [*recall, np.nan, np.nan], rtol=1e-12)
    assert got.pixel_accuracy == pytest.approx((y == p).mean())
    assert got.mean_iou == pytest.approx(iou.mean()) == mean_iou(labels, predictions, K, ignore)
    assert got.mean_dice == pytest.approx(dice.mean())
    weighted = jaccard_score(y, p, labels=occur, average="weighted")
    assert got.frequency_weighted_iou == pytest.approx(weighted)
    assert got.images == 6
    known = p != 3  # scikit-learn warns of predicted classes that never occur
    some = SegmentationScores.empty(K, ignore).add(y[known][None, None], p[known][None, None])
    assert some.report().mean_accuracy == pytest.approx(balanced_accuracy_score(y[known], p[known]))
    assert got.mean_accuracy == pytest.approx(recall.mean())


def test_against_loops_over_pixels():
    labels, predictions = images(seed=1)
    confusion = [[0] * K for _ in range(K)]
    for truth, guess in zip(labels.tolist(), predictions.tolist(), strict=True):
        for truth_row, guess_row in zip(truth, guess, strict=True):
            for a, b in zip(truth_row, guess_row, strict=True):
                if a != 255:
                    confusion[a][b] += 1
    got = SegmentationScores.empty(K).add(labels, predictions).report()
    assert got.confusion.tolist() == confusion
    assert got.support.tolist() == [sum(row) for row in confusion]


def test_sums_over_the_set_and_not_means_of_images():
    """One image of 1 right pixel, one of 3 wrong ones; both of class 0, the wrong called 1."""
    got = (
        SegmentationScores.empty(2)
        .add(
            [np.zeros((1, 1), int), np.zeros((1, 3), int)],
            [np.zeros((1, 1), int), np.ones((1, 3), int)],
        )
        .report()
    )
    assert got.pixel_accuracy == got.iou[0] == 0.25
    assert got.dice[0] == 2 / 5
    assert (got.iou[1], got.mean_iou) == (0.0, 0.125)
    assert (got.mean_accuracy, got.frequency_weighted_iou) == (0.25, 0.25)
    assert math.isnan(got.accuracy[1])


@pytest.mark.parametrize("empty", [SegmentationScores.empty(K), BoundaryScores.empty(K, 255, 0.05)])
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4, 5), (2, 2), (0, 6)])
def test_neither_batches_nor_their_order_matter(empty, cuts):
    labels, predictions = images(seed=2)
    whole = streamed(empty, labels, predictions)
    close(streamed(empty, labels, predictions, cuts), whole)
    order = [3, 1, 5, 0, 4, 2]
    close(streamed(empty, labels[order], predictions[order], cuts), whole)
    close(empty.add(list(labels), tuple(predictions)), whole)


@pytest.mark.parametrize("empty", [SegmentationScores.empty(K), BoundaryScores.empty(K, 255, 0.05)])
def test_merged_streams_are_one(empty):
    labels, predictions = images(seed=3)
    whole = empty.add(labels, predictions)
    one, two = empty.add(labels[:2], predictions[:2]), empty.add(labels[2:], predictions[2:])
    close(one.merge(two), whole)
    close(two.merge(one), whole)
    close(empty.merge(whole), whole)
    assert empty.report().images == 0  # `add` and `merge` left it alone


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint16])
def test_any_kind_of_integers(dtype):
    labels, predictions = images()
    for empty in (SegmentationScores.empty(K), BoundaryScores.empty(K)):
        got = empty.add(labels.astype(dtype), predictions.astype(dtype))
        close(got, empty.add(labels, predictions))


def test_what_is_ignored_counts_as_nothing():
    labels, predictions = images()
    for empty in (SegmentationScores.empty(K), BoundaryScores.empty(K, 255, 0.05)):
        once = empty.add(labels, predictions)
        more = once.add(np.full((2, 9, 9), 255), blobs(2, 9, 9, 5))
        rest = {"images": 8} if isinstance(empty, SegmentationScores) else {"seen": 8}
        close(more, once._replace(**rest))
        anything = np.where(labels == 255, 99, predictions)  # not even a class
        close(empty.add(labels, anything), once)


@pytest.mark.parametrize("batch", [np.zeros((0, 4, 4), int), np.full((2, 4, 4), 255)])
def test_without_a_pixel_all_is_nan(batch):
    report = SegmentationScores.empty(2).add(batch, batch).report()
    assert np.isnan(np.hstack(report[:8])).all()
    assert math.isnan(mean_iou(batch, batch, 2))
    boundary = BoundaryScores.empty(2).add(batch, batch).report()
    assert math.isnan(boundary.boundary_f1) and np.isnan(boundary.per_class).all()
    assert boundary.images == 0


def test_perfect_predictions():
    labels, _ = images()
    guess = np.where(labels == 255, 0, labels)
    report = SegmentationScores.empty(K).add(labels, guess).report()
    assert report[:5] == (1.0, 1.0, 1.0, 1.0, 1.0)
    boundary = BoundaryScores.empty(K).add(labels, guess).report()
    assert boundary.boundary_f1 == 1.0 and boundary.images == 5


def loops(labels, predictions, ignore, tolerance):
    """Boundary F1, every pixel against every pixel."""

    def boundary(mask, truth, c):
        h, w = mask.shape
        for y in range(h):
            for x in range(w):
                around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                if (
                    mask[y, x] == c
                    and truth[y, x] != ignore
                    and any(
                        0 <= b < h and 0 <= a < w and truth[b, a] != ignore and mask[b, a] != c
                        for b, a in around
                    )
                ):
                    yield y, x

    def found(points, others, reach):
        near = [any(math.dist(p, q) <= reach + 1e-9 for q in others) for p in points]
        return sum(near) / len(near)

    means = []
    for truth, guess in zip(labels, predictions, strict=True):
        f1 = []
        for c in range(K):
            a, b = list(boundary(truth, truth, c)), list(boundary(guess, truth, c))
            reach = tolerance * math.hypot(*truth.shape)
            if a and b:
                precision, recall = found(b, a, reach), found(a, b, reach)
                f1.append(2 * precision * recall / (precision + recall or 1))
            elif a or b:
                f1.append(0.0)
        if f1:
            means.append(sum(f1) / len(f1))
    return sum(means) / len(means), len(means)


@pytest.mark.parametrize("tolerance", [0.0, 0.0075, 0.05, 0.2, 1.0])
def test_boundary_f1_against_loops_over_pixels(tolerance):
    labels, predictions = images(4, 13, 11, seed=4)
    got = BoundaryScores.empty(K, 255, tolerance).add(labels, predictions).report()
    want, count = loops(labels, predictions, 255, tolerance)
    assert got.boundary_f1 == pytest.approx(want, rel=1e-12)
    assert got.images == count == 3


@pytest.mark.parametrize("tolerance", [0.0075, 0.02])
def test_boundary_f1_of_a_disc_against_a_distance_transform(tolerance):
    """240 x 320: a diagonal of 400, of which the default is 3 pixels, `<=`."""
    y, x = np.mgrid[:240, :320]
    truth = ((y - 120) ** 2 + (x - 160) ** 2 < 60**2).astype(int)
    guess = ((y - 123) ** 2 + (x - 158) ** 2 < 58**2).astype(int)
    got = BoundaryScores.empty(2, tolerance=tolerance).add(truth[None], guess[None]).report()
    for c in (0, 1):
        edges = []
        for mask in (truth == c, guess == c):
            padded = np.pad(mask, 1, mode="edge")
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            edges.append(mask & ~inner)
        a, b = edges
        precision = (distance_transform_edt(~a)[b] <= 400 * tolerance).mean()
        recall = (distance_transform_edt(~b)[a] <= 400 * tolerance).mean()
        assert 0.3 < precision <= 1
        want = 2 * precision * recall / (precision + recall)
        assert got.per_class[c] == pytest.approx(want, rel=1e-12)
    assert got.boundary_f1 == pytest.approx(got.per_class.mean())


def test_boundary_f1_by_hand():
    """Halves of 6 x 8, a diagonal of 10, parted between columns 3 and 4; predicted 1 to the right.

    Image 2 is of one class, as predicted: it has no boundary and does not count. In image 3 a
    class is predicted that is not there: both classes have F1 = 0.
    """
    x = np.broadcast_to(np.arange(8), (6, 8))
    halves, moved = (x > 3).astype(int), (x > 4).astype(int)
    one, spot = np.ones((6, 8), int), np.ones((6, 8), int)
    spot[2, 2] = 0
    strict, loose = (BoundaryScores.empty(3, 255, tolerance) for tolerance in (0.09, 0.1))
    assert strict.add([halves, one], [moved, one]).report().boundary_f1 == 0.0
    got = loose.add([halves, one], [moved, one])
    assert got.report()[:1] + got.report()[2:3] == (1.0, 1)
    got = got.add([one], [spot]).report()
    assert (got.boundary_f1, got.images) == (0.5, 2)
    np.testing.assert_allclose(got.per_class, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(got.class_images, [2, 2, 0])
    fenced = np.where((x == 3) | (x == 4), 255, halves)  # ignored between the halves
    assert loose.add([fenced], [fenced * 0]).report().images == 0


@pytest.mark.parametrize("empty", [SegmentationScores.empty(3), BoundaryScores.empty(3)])
def test_bad_masks_are_refused_by_number(empty):
    good = np.zeros((2, 4, 5), int)
    scores, bad = empty.add(good, good), good.copy()
    with pytest.raises(ValueError, match=r"sample 3: labels are of size \(4, 5\), .* of \(5, 4\)"):
        scores.add(list(good), [good[0], good[0].T])
    bad[1, 2, 3] = 4
    with pytest.raises(ValueError, match=r"sample 3: predictions: class 4 found, expected 0 to 2$"):
        scores.add(good, bad)
    bad[1, 2, 3] = -1
    with pytest.raises(ValueError, match=r"sample 3: labels: class -1 found.*\(or 255, which is"):
        scores.add(bad, good)
    with pytest.raises(TypeError, match=r"sample 2: predictions: .* got dtype float64"):
        scores.add(good, good / 1)
    with pytest.raises(ValueError, match=r"sample 2: predictions: .*\(4, 5, 3\); take the argmax"):
        scores.add(good, np.zeros((2, 4, 5, 3), int))
    with pytest.raises(ValueError, match=r"sample 2: labels: .* got \(5,\); give a batch"):
        scores.add(good[0], good[0])
    with pytest.raises(ValueError, match="labels and predictions: expected one each, got 2 and 1"):
        scores.add(good, good[:1])
    with pytest.raises(ValueError, match="num_classes: expected equal ones, got 3 and 4"):
        scores.merge(type(empty).empty(4))
    with pytest.raises(ValueError, match="ignore: expected equal ones, got 255 and 0"):
        scores.merge(type(empty).empty(3, 0))
    with pytest.raises(ValueError, match="num_classes: expected at least 1, got 0"):
        type(empty).empty(0)


def test_bad_tolerances_are_refused():
    with pytest.raises(ValueError, match="tolerance: expected a share of the diagonal, got 3"):
        BoundaryScores.empty(3, tolerance=3)
    with pytest.raises(ValueError, match=r"tolerance: expected equal ones, got 0\.0075 and 0\.1"):
        BoundaryScores.empty(3).merge(BoundaryScores.empty(3, tolerance=0.1))
