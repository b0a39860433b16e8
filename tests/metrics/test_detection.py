"""Detection: pycocotools' numbers, a brute force in plain loops, and streams."""

import math

import numpy as np
import pytest

from gan_mtl.metrics.detection import (
    DetectionScores,
    average_precision,
    non_maximum_suppression,
    pairwise_iou,
)

NOTHING = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))


def boxes(rng, n):
    corner = rng.integers(0, 400, (n, 2)) / 8
    return np.concatenate([corner, corner + rng.integers(8, 240, (n, 2)) / 8], axis=1)


def scene(seed, images=12, k=4):
    """Images of k classes, whose scores and overlaps have ties; the last class is never true.

    Image 3 has no true box, image 7 no detection, image 5 more than 100 detections of class 1.
    """
    rng = np.random.default_rng(seed)
    for i in range(images):
        truth = boxes(rng, 0 if i == 3 else rng.integers(1, 12))
        true_classes = rng.integers(0, k - 1, len(truth))
        copies = np.concatenate([truth, truth[::2]])
        copies = (copies + rng.integers(-10, 11, copies.shape) / 8).reshape(-1, 2, 2)
        stray = boxes(rng, 130 if i == 5 else rng.integers(0, 9))
        found = np.concatenate([np.sort(copies, axis=1).reshape(-1, 4), stray])
        strays = np.ones(130, int) if i == 5 else rng.integers(0, k, len(stray))
        classes = np.concatenate([true_classes, true_classes[::2], strays])
        scores = rng.integers(0, 40, len(found)) / 40
        scores[: len(truth)] += rng.integers(0, 30, len(truth)) / 40
        kept = slice(0, 0 if i == 7 else None)
        yield found[kept], scores[kept], classes[kept], truth, true_classes


def streamed(images, k=4):
    scores = DetectionScores.empty(k)
    for image in images:
        scores = scores.add(*image)
    return scores


def same(one, two):
    """Reports to rounding, nan as nan."""
    for name, a, b in zip(one._fields, one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12, err_msg=name)


GOLDEN_PRECISION = np.full((10, 4), np.nan)  # threshold, class
GOLDEN_PRECISION[:, :3] = [
    [0.744458422676245, 0.517236844218396, 0.760431369325189],
    [0.744458422676245, 0.439886473759107, 0.699961351723145],
    [0.659740394888909, 0.439886473759107, 0.57513920162435],
    [0.580075993442329, 0.43837665365945, 0.54995430855366],
    [0.552310774524125, 0.29809618385055, 0.485674803744111],
    [0.476015521208751, 0.202116416952807, 0.41729166048473],
    [0.325927163119754, 0.159759972527039, 0.300705623612759],
    [0.244582150522745, 0.083499038369507, 0.262468841048561],
    [0.005241700640652, 0.005051525560719, 0.032178217821782],
    [0.0, 0.0, 0.0],
]
GOLDEN_RECALL = [  # true boxes found
    np.array([20, 20, 19, 18, 18, 17, 15, 11, 2, 0]) / 23,
    np.array([32, 29, 29, 29, 26, 23, 18, 13, 5, 0]) / 35,
    np.array([29, 27, 26, 25, 24, 21, 18, 16, 5, 0]) / 30,
    [math.nan] * 10,
]


def test_numbers_of_pycocotools():
    """`COCOeval` of pycocotools 2.0.11 on `scene(0)`: its `precision`, `recall` and `stats`."""
    got = streamed(scene(0)).report()
    np.testing.assert_allclose(got.average_precision, GOLDEN_PRECISION.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.recall, GOLDEN_RECALL, rtol=0, atol=1e-12)
    assert got.map == pytest.approx(0.36668418347649084, abs=1e-12)
    assert got.map_50 == pytest.approx(0.6740422120732765, abs=1e-12)
    assert got.map_75 == pytest.approx(0.3651411995487624, abs=1e-12)
    assert got.average_recall == pytest.approx(0.6094064872325742, abs=1e-12)
    np.testing.assert_allclose(got.per_class, np.mean(GOLDEN_PRECISION, axis=0))
    np.testing.assert_array_equal(got.instances, [23, 35, 30, 0])
    assert got.images == 12


def overlap(p, q):
    """Of two boxes, from their sides."""
    w = min(p[2], q[2]) - max(p[0], q[0])
    h = min(p[3], q[3]) - max(p[1], q[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - w * h)


def brute_force(images, c, threshold):
    """Average precision and recall of one class at one threshold, one detection after the other."""
    ranking, instances = [], 0
    for boxes_, scores, classes, truth, true_classes in images:
        targets = [box for box, t in zip(truth, true_classes, strict=True) if t == c]
        mine = [(s, box) for s, box, t in zip(scores, boxes_, classes, strict=True) if t == c]
        instances += len(targets)
        taken = set()
        for score, box in sorted(mine, key=lambda one: -one[0])[:100]:
            best = None
            for j, target in enumerate(targets):
                value = overlap(box, target)
                if j not in taken and value >= threshold:
                    best = max((value, j), best or (0, 0))
            if best is not None:
                taken.add(best[1])
            ranking.append((score, best is not None))
    if not instances:
        return math.nan, math.nan
    ranking.sort(key=lambda one: -one[0])
    found, points = 0, []
    for n, (_, hit) in enumerate(ranking, start=1):
        found += hit
        points.append((found / instances, found / n))
    at = [max((p for r, p in points if r >= level), default=0.0) for level in LEVELS]
    return sum(at) / 101, found / instances


LEVELS = [float(level) for level in np.linspace(0, 1, 101)]


@pytest.mark.parametrize("seed", range(1, 5))
def test_against_brute_force(seed):
    images = list(scene(seed))
    got = streamed(images).report()
    for i, threshold in enumerate(np.linspace(0.5, 0.95, 10)):
        for c in range(4):
            precision, recall = brute_force(images, c, threshold)
            assert got.average_precision[c, i] == pytest.approx(precision, abs=1e-9, nan_ok=True)
            assert got.recall[c, i] == pytest.approx(recall, abs=1e-9, nan_ok=True)
    assert got.map == pytest.approx(np.nanmean(got.average_precision))
    assert got.map_50 == pytest.approx(np.nanmean(got.average_precision[:, 0]))
    assert got.map_75 == pytest.approx(np.nanmean(got.average_precision[:, 5]))
    assert got.average_recall == pytest.approx(np.nanmean(got.recall))


def test_by_hand():
    """Two true boxes; the best detection overlaps the first by 0.6, the next is far, the third
    overlaps the first by 1, the last the second by 1.
    """
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10]])
    found = [[0, 0, 10, 6], [50, 50, 60, 60], [0, 0, 10, 10], [20, 0, 30, 10]]
    add = DetectionScores.empty(1).add
    got = add(found, [0.9, 0.8, 0.7, 0.6], [0] * 4, truth, [0, 0]).report()
    low = (51 * 1 + 50 * 2 / 4) / 101  # right, wrong, wrong (it is taken), right
    high = (51 * 2 / 4 + 50 * 2 / 4) / 101  # wrong, wrong, right, right
    np.testing.assert_allclose(got.average_precision[0], [low] * 3 + [high] * 7)
    assert (got.map_50, got.map_75) == pytest.approx((low, high))
    assert got.average_recall == 1.0
    assert (got.instances[0], got.detections[0], got.images) == (2, 4, 1)


@pytest.mark.parametrize("cut", [0, 1, 5, 12])
def test_merged_streams_are_one(cut):
    images = list(scene(1))
    whole = streamed(images)
    one, two = streamed(images[:cut]), streamed(images[cut:])
    same(one.merge(two).report(), whole.report())
    assert whole.report().images == one.merge(two).images == 12
    assert two.images == 12 - cut  # merging leaves both alone


def test_the_order_does_not_matter_where_scores_differ():
    rng = np.random.default_rng(2)
    images = [
        (found, rng.uniform(size=len(found)), classes, truth, true_classes)
        for found, _, classes, truth, true_classes in scene(2)
    ]
    whole = streamed(images).report()
    mixed = []
    for i in rng.permutation(12):
        found, scores, classes, truth, true_classes = images[i]
        a, b = rng.permutation(len(found)), rng.permutation(len(truth))
        mixed.append((found[a], scores[a], classes[a], truth[b], true_classes[b]))
    same(streamed(mixed).report(), whole)


def padded(images, m=180, g=14):
    """Padding holds numbers that would be errors in a box."""
    n = len(images)
    boxes_, scores = np.full((n, m, 4), np.nan), np.full((n, m), np.inf)
    classes, truth = np.full((n, m), -1), np.full((n, g, 5), -1.0)
    truth[..., 0] = np.nan
    for i, (b, s, c, t, u) in enumerate(images):
        at = np.sort(np.random.default_rng(i).permutation(m)[: len(b)])
        boxes_[i, at], scores[i, at], classes[i, at] = b, s, c
        truth[i, : len(t), :4], truth[i, : len(t), 4] = t, u
    return boxes_, scores, classes, truth


@pytest.mark.parametrize("cuts", [[], [1, 4], [0, 6, 6]])
def test_padded_batches(cuts):
    images = list(scene(3))
    added = DetectionScores.empty(4)
    for batch in zip(*(np.split(array, cuts) for array in padded(images)), strict=True):
        added = added.add_batch(*batch)
    same(added.report(), streamed(images).report())


def test_images_of_unknown_objects_are_left_out():
    images = list(scene(3))
    boxes_, scores, classes, truth = padded(images)
    truth[1], truth[4] = (0, 0, 0, 0, -2), (0, 0, 0, 0, -2)
    known = [image for i, image in enumerate(images) if i not in (1, 4)]
    found = DetectionScores.empty(4).add_batch(boxes_, scores, classes, truth).report()
    same(found, streamed(known).report())


def test_no_detections_no_truth_no_images():
    boxes_, true = np.array([[0, 0, 4, 4]]), [0]
    missed = DetectionScores.empty(2).add(*NOTHING, boxes_, true).report()
    assert missed.map == missed.map_50 == missed.average_recall == missed.per_class[0] == 0.0
    assert math.isnan(missed.per_class[1])
    spurious = DetectionScores.empty(2).add(boxes_, [0.5], [1], [], []).report()
    for nothing in (DetectionScores.empty(2).report(), spurious):
        assert np.isnan([nothing.map, nothing.map_50, nothing.map_75]).all()
        assert math.isnan(nothing.average_recall) and np.isnan(nothing.average_precision).all()
    np.testing.assert_array_equal(spurious.detections, [0, 1])
    perfect = DetectionScores.empty(2).add(boxes_, [0.5], true, boxes_, true)
    assert perfect.report().map == perfect.report().average_recall == 1.0
    same(perfect.add([], [], [], [], []).report()._replace(images=1), perfect.report())
    # A class that is nowhere true is left out, however many false alarms it has.
    assert perfect.add(boxes_, [0.9], [1], [], []).report().map == 1.0
    assert perfect.add(boxes_, [0.9], [0], [], []).report().map == pytest.approx(0.5)


def test_boxes_may_leave_the_image():
    """No image is known here: they are boxes like others, and of a true one the rest is missed."""
    true = [[0, 0, 8, 10]]
    found = DetectionScores.empty(1).add([[-2, 0, 8, 10]], [0.9], [0], true, [0]).report()
    assert found.map_50 == found.map_75 == 1.0 and found.map == pytest.approx(0.7)


def test_at_most_a_hundred_detections_of_an_image_and_class():
    far = np.tile([100.0, 100, 104, 104], (120, 1))
    far[100] = [0, 0, 4, 4]
    scores = np.linspace(1, 0.5, 120)
    for c, want in ((0, 0.0), (1, 1 / 101)):  # the right one is the 101st, or the first of its own
        classes = np.zeros(120, int)
        classes[100] = c
        got = DetectionScores.empty(2).add(far, scores, classes, far[100:101], [c]).report()
        assert got.recall[c, 0] == float(c)
        assert got.detections.sum() == 100 + c
        assert (got.map_50 > 0) == bool(want)


def test_average_precision_of_a_ranking():
    assert average_precision([0.9, 0.1], [True, True], 2) == 1.0
    assert average_precision([0.1, 0.9], [True, False], 1) == 0.5
    assert average_precision([0.5, 0.5], [True, False], 1) == 1.0  # ties by order
    assert average_precision([0.9, 0.8], [True, False], 2) == pytest.approx(51 / 101)
    assert average_precision([], [], 3) == 0.0
    assert math.isnan(average_precision([0.5], [False], 0))
    with pytest.raises(ValueError, match="hits: 2 found, but only 1 instances"):
        average_precision([0.9, 0.8], [True, True], 1)
    with pytest.raises(ValueError, match=r"scores: expected one each, shape \(1,\), got \(2,\)"):
        average_precision([0.9, 0.8], [True], 1)


def test_pairwise_iou():
    rng = np.random.default_rng(0)
    a, b = boxes(rng, 30), boxes(rng, 20)
    got = pairwise_iou(a, b)
    np.testing.assert_allclose(got, [[overlap(p, q) for q in b] for p in a], rtol=1e-12)
    assert ((got >= 0) & (got <= 1)).all() and got.max() > 0.3
    np.testing.assert_array_equal(pairwise_iou(b, a), got.T)
    np.testing.assert_array_equal(np.diag(pairwise_iou(a, a)), 1)
    assert pairwise_iou([[0, 0, 2, 2]], [[1, 1, 3, 3]]) == pytest.approx(1 / 7)
    assert pairwise_iou([[0, 0, 2, 2]], [[2, 0, 4, 2]]) == 0.0  # they touch
    flat = [[1, 1, 1, 3], [1, 1, 1, 1]]
    np.testing.assert_array_equal(pairwise_iou(flat, [*flat, [0, 0, 4, 4]]), np.zeros((2, 3)))
    assert pairwise_iou(a, []).shape == (30, 0) and pairwise_iou([], b).shape == (0, 20)


def plain_suppression(boxes_, scores, threshold, classes):
    left = sorted(range(len(boxes_)), key=lambda i: (-scores[i], i))
    kept = []
    while left:
        first = left.pop(0)
        kept.append(first)
        left = [
            i
            for i in left
            if classes[i] != classes[first] or overlap(boxes_[i], boxes_[first]) <= threshold
        ]
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_suppression_against_brute_force(threshold):
    rng = np.random.default_rng(5)
    for _ in range(5):
        found, scores = boxes(rng, 60), rng.integers(0, 20, 60) / 20
        classes = rng.integers(0, 3, 60)
        got = non_maximum_suppression(found, scores, threshold)
        assert got.tolist() == plain_suppression(found, scores, threshold, np.zeros(60))
        got = non_maximum_suppression(found, scores, threshold, classes)
        assert got.tolist() == plain_suppression(found, scores, threshold, classes)
        again = non_maximum_suppression(found[got], scores[got], threshold, classes[got])
        assert again.tolist() == list(range(len(got)))


def test_suppression_by_hand():
    found = [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 10], [40, 0, 50, 10]]
    keep = non_maximum_suppression
    assert keep(found, [0.5, 0.9, 0.5, 0.1], 0.4).tolist() == [1, 3]
    assert keep(found, [0.5, 0.9, 0.5, 0.1], 0.5).tolist() == [1, 0, 3]  # 0.5 is not above 0.5
    assert keep(found, [0.5, 0.9, 0.5, 0.1], 0.4, [0, 1, 0, 0]).tolist() == [1, 0, 3]
    assert keep([], [], 0.5).tolist() == []


def test_bad_input_is_refused_by_name():
    scores, box = DetectionScores.empty(3).add(*NOTHING, [], []), [[0, 0, 4, 4]]
    with pytest.raises(ValueError, match=r"sample 1: boxes: expected x1 >= x0 .* \(5.0, 0.0, 4.0"):
        scores.add([*box, [5, 0, 4, 4]], [0.5, 0.5], [0, 0], [], [])
    with pytest.raises(ValueError, match=r"sample 1: true boxes: expected y1 >= y0"):
        scores.add(box, [0.5], [0], [[0, 5, 4, 4]], [0])
    with pytest.raises(ValueError, match=r"sample 1: boxes: expected finite corners, got \(nan"):
        scores.add([[np.nan, 0, 4, 4]], [0.5], [0], [], [])
    with pytest.raises(ValueError, match=r"sample 1: boxes: .* of shape \[m, 4\], got \(1, 5\)"):
        scores.add([[0, 0, 4, 4, 1]], [0.5], [0], [], [])
    with pytest.raises(ValueError, match="sample 1: scores: expected finite ones, got inf"):
        scores.add(box, [np.inf], [0], [], [])
    with pytest.raises(ValueError, match=r"sample 1: scores: expected one each, shape \(1,\)"):
        scores.add(box, [0.5, 0.5], [0], [], [])
    for bad in (3, -1, 0.5, np.nan):
        with pytest.raises(ValueError, match=f"sample 1: classes: .* 0 to 2, got {bad}"):
            scores.add(box, [0.5], [bad], [], [])
        with pytest.raises(ValueError, match=f"sample 1: true classes: .* 0 to 2, got {bad}"):
            scores.add(box, [0.5], [0], box, [bad])
    with pytest.raises(ValueError, match=r"true classes: expected one each, shape \(1,\), got"):
        scores.add(box, [0.5], [0], box, [0, 1])
    with pytest.raises(ValueError, match="num_classes: expected equal ones, got 3 and 2"):
        scores.merge(DetectionScores.empty(2))
    with pytest.raises(ValueError, match="num_classes: expected at least 1, got 0"):
        DetectionScores.empty(0)
    with pytest.raises(ValueError, match="boxes_b: expected x1 >= x0"):
        pairwise_iou(box, [[4, 0, 0, 4]])


def test_bad_batches_and_thresholds_are_refused_by_name():
    images = list(scene(0))[:3]
    boxes_, scores, classes, truth = padded(images)
    add = DetectionScores.empty(4).add_batch
    with pytest.raises(ValueError, match=r"boxes: expected shape \(3, 180, 4\), got \(2, 180, 4\)"):
        add(boxes_[:2], scores, classes, truth)
    with pytest.raises(ValueError, match=r"scores: expected shape \(3, 180\), got \(3, 9\)"):
        add(boxes_, scores[:, :9], classes, truth)
    with pytest.raises(ValueError, match=r"classes: expected shape \(n, m\), got \(180,\)"):
        add(boxes_, scores, classes[0], truth)
    with pytest.raises(ValueError, match=r"truth: expected shape \(3, g, 5\), got \(3, 14, 4\)"):
        add(boxes_, scores, classes, truth[..., :4])
    classes[2, 0] = -2
    with pytest.raises(ValueError, match="sample 2: "):
        add(boxes_, scores, classes, truth)
    truth[1, 0, 4] = -3
    with pytest.raises(ValueError, match=r"sample 1: true classes: .* 0 to 3, got -3"):
        add(boxes_, scores, np.full_like(classes, -1), truth)
    with pytest.raises(ValueError, match="threshold: expected an IoU from 0 to 1, got 50"):
        non_maximum_suppression([[0, 0, 4, 4]], [0.5], 50)
    with pytest.raises(ValueError, match=r"classes: expected shape \(1,\), got \(2,\)"):
        non_maximum_suppression([[0, 0, 4, 4]], [0.5], 0.5, [0, 0])
    with pytest.raises(ValueError, match="scores: expected finite ones, got nan"):
        non_maximum_suppression([[0, 0, 4, 4]], [np.nan], 0.5)
