"""Boxes: overlap, suppression of near-duplicates, and average precision as COCO defines it.

A `DetectionScores` is a value that takes images as they come. Of an image and class, the 100
detections of the highest scores count. From the best downwards each takes the free true box of its
class that it overlaps most (of equal ones the last), if by at least the threshold; a true box is
taken once. Ties between scores go by order: in an image, then in the stream. The report of the
values equals that of pycocotools for boxes of all areas, none of them a crowd: `iscrowd`, `ignore`
and ranges of area are not here.

Reference:
    Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the evaluation as in
    pycocotools' `COCOeval`, whose cut at 100 detections is by image and class, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics._shares import known_mean

UNKNOWN = -2  # the class of true boxes of an image whose objects nobody may know
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the IoU from which a detection is right
RECALLS = np.linspace(0.0, 1.0, 101)  # where precision is read off
MAX_DETECTIONS = 100  # of an image and class


def pairwise_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Float[np.ndarray, "m k"]:
    """Intersection over union of every box of one set with every box of the other, in [0, 1].

    Args:
        boxes_a: shape [m, 4], corners (x0, y0, x1, y1) in pixels, x1 >= x0 and y1 >= y0.
        boxes_b: shape [k, 4], likewise.

    Returns:
        Shape [m, k]. A box without area overlaps nothing, not even itself.

    Raises:
        ValueError: for another shape, corners in the wrong order or not finite.
    """
    return _iou(_boxes(boxes_a, "boxes_a"), _boxes(boxes_b, "boxes_b"))


def non_maximum_suppression(
    boxes: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    classes: ArrayLike | None = None,
) -> Int[np.ndarray, " kept"]:
    """Greedy: keeps the best box, drops those that overlap it too much, and so on with the rest.

    Args:
        boxes: shape [m, 4], corners (x0, y0, x1, y1).
        scores: shape [m]; of equal ones the lower index comes first.
        threshold: an IoU in [0, 1]; a box is dropped above it, not at it.
        classes: shape [m]; then only boxes of the same class drop one another.

    Returns:
        Indices of the kept boxes, the best first.

    Raises:
        ValueError: for scores that are not finite, boxes as in `pairwise_iou`, other lengths.
    """
    boxes = _boxes(boxes, "boxes")
    scores = _scores(scores, "scores", len(boxes))
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected an IoU from 0 to 1, got {threshold}")
    classes = np.zeros(len(boxes), int) if classes is None else np.asarray(classes)
    if classes.shape != scores.shape:
        raise ValueError(f"classes: expected shape {scores.shape}, got {classes.shape}")
    free, kept = np.ones(len(boxes), bool), []
    for i in np.argsort(-scores, kind="stable"):
        if free[i]:
            kept.append(i)
            free &= ~((_iou(boxes[i : i + 1], boxes)[0] > threshold) & (classes == classes[i]))
    return np.array(kept, int)


def average_precision(scores: ArrayLike, hits: ArrayLike, instances: int) -> float:
    """Average precision of one ranking: the mean of precision at 101 recalls, in [0, 1].

    Precision at a recall is the highest at that recall or a higher one, and 0 at those that are
    never reached. Of equal scores the earlier come first.

    Args:
        scores: shape [m], over all images.
        hits: shape [m], true where a detection found a true box of its own.
        instances: true boxes. Without any the result is nan.

    Raises:
        ValueError: for scores that are not finite, other lengths, more hits than instances.
    """
    hits = np.asarray(hits, bool)
    scores = _scores(scores, "scores", hits.size)
    if hits.sum() > instances:
        raise ValueError(f"hits: {hits.sum()} found, but only {instances} instances")
    if not instances:
        return np.nan
    found = np.cumsum(hits.reshape(-1)[np.argsort(-scores, kind="stable")])
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(found / instances, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[reached].mean())


class DetectionReport(NamedTuple):
    """Average precision and recall, all in [0, 1].

    A class without a true box has nan and is left out of the means; without any true box at all
    the means are nan.

    average_precision: shape [k, 10], by class and threshold 0.5, 0.55, ..., 0.95.
    per_class: shape [k], its means over thresholds.
    map, map_50, map_75: its means over classes: of all thresholds, at 0.5, at 0.75.
    recall: shape [k, 10], the share of true boxes that are found.
    average_recall: its mean over classes and thresholds (COCO's AR at 100).
    instances: shape [k], true boxes.
    detections: shape [k], those that count: at most 100 of an image and class.
    images: those that were added.
    """

    average_precision: Float[np.ndarray, "k 10"]
    per_class: Float[np.ndarray, " k"]
    map: float
    map_50: float
    map_75: float
    recall: Float[np.ndarray, "k 10"]
    average_recall: float
    instances: Int[np.ndarray, " k"]
    detections: Int[np.ndarray, " k"]
    images: int


class Matches(NamedTuple):
    """Detections of an image, and at which thresholds each found a true box of its own.

    scores: shape [m], by class descending.
    classes: shape [m].
    hits: shape [m, 10].
    """

    scores: Float[np.ndarray, " m"]
    classes: Int[np.ndarray, " m"]
    hits: Bool[np.ndarray, "m 10"]


class DetectionScores(NamedTuple):
    """What is kept of a stream of images: its detections with their hits, not its boxes.

    The report does not depend on the batches, nor on the order of images as long as no two scores
    of a class are equal.

    matches: of the images that have detections, in their order.
    instances: shape [k], true boxes by class.
    images: those that were added; errors number them from 0.
    """

    matches: tuple[Matches, ...]
    instances: Int[np.ndarray, " k"]
    images: int

    @classmethod
    def empty(cls, num_classes: int) -> DetectionScores:
        """No image yet, of classes 0 .. num_classes - 1."""
        if num_classes < 1:
            raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
        return cls((), np.zeros(num_classes, np.int64), 0)

    def add(
        self,
        boxes: ArrayLike,
        scores: ArrayLike,
        classes: ArrayLike,
        true_boxes: ArrayLike,
        true_classes: ArrayLike,
    ) -> DetectionScores:
        """The scores after one further image.

        Args:
            boxes: detections, shape [m, 4], corners (x0, y0, x1, y1); m may be 0.
            scores: shape [m], the higher the surer; any finite numbers.
            classes: shape [m], 0 .. k - 1.
            true_boxes: shape [g, 4]; g may be 0.
            true_classes: shape [g].

        Raises:
            ValueError: by the number of the image, for corners in the wrong order or not finite,
                scores that are not finite, classes outside the range, lengths that differ.
        """
        k, sample = len(self.instances), f"sample {self.images}: "
        boxes, true_boxes = (
            _boxes(boxes, sample + "boxes"),
            _boxes(true_boxes, sample + "true boxes"),
        )
        scores = _scores(scores, sample + "scores", len(boxes))
        classes = _classes(classes, sample + "classes", len(boxes), k)
        true_classes = _classes(true_classes, sample + "true classes", len(true_boxes), k)
        ranked = np.argsort(-scores, kind="stable")
        parts = []
        for c in np.unique(classes):
            best = ranked[classes[ranked] == c][:MAX_DETECTIONS]
            hits = _hits(_iou(boxes[best], true_boxes[true_classes == c]))
            parts.append(Matches(scores[best], classes[best], hits))
        found = (Matches(*map(np.concatenate, zip(*parts, strict=True))),) if parts else ()
        instances = self.instances + np.bincount(true_classes, minlength=k)
        return DetectionScores(self.matches + found, instances, self.images + 1)

    def add_batch(
        self, boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike, truth: ArrayLike
    ) -> DetectionScores:
        """The scores after further images, padded to equal numbers of boxes.

        Args:
            boxes: shape [n, m, 4].
            scores: shape [n, m].
            classes: shape [n, m]; -1 where there is no detection, whatever box and score say.
            truth: shape [n, g, 5], (x0, y0, x1, y1, class); class -1 is padding, and an image with
                class -2 in a row has unknown objects: it is left out.

        Raises:
            ValueError: as `add`; for arrays of other shapes.
        """
        boxes, scores, classes, truth = map(np.asarray, (boxes, scores, classes, truth))
        if classes.ndim != 2:
            raise ValueError(f"classes: expected shape (n, m), got {classes.shape}")
        n, m = classes.shape
        for name, array, shape in (("boxes", boxes, (n, m, 4)), ("scores", scores, (n, m))):
            if array.shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        if truth.ndim != 3 or len(truth) != n or truth.shape[2] != 5:
            raise ValueError(f"truth: expected shape ({n}, g, 5), got {truth.shape}")
        added = self
        for i in np.flatnonzero(~(truth[..., 4] == UNKNOWN).any(axis=1)):
            here, real = classes[i] != -1, truth[i, :, 4] != -1
            found = boxes[i, here], scores[i, here], classes[i, here]
            added = added.add(*found, truth[i, real, :4], truth[i, real, 4])
        return added

    def merge(self, other: DetectionScores) -> DetectionScores:
        """Both streams, as if the other's images had come after this one's."""
        if len(self.instances) != len(other.instances):
            raise ValueError(
                f"num_classes: expected equal ones, got {len(self.instances)} and "
                f"{len(other.instances)}"
            )
        return DetectionScores(
            self.matches + other.matches,
            self.instances + other.instances,
            self.images + other.images,
        )

    def report(self) -> DetectionReport:
        """Average precision and recall of all images so far; nan where there is no true box."""
        k, t = len(self.instances), len(THRESHOLDS)
        nothing = Matches(np.zeros(0), np.zeros(0, int), np.zeros((0, t), bool))
        every = Matches(*map(np.concatenate, zip(nothing, *self.matches, strict=True)))
        precision, recall = np.full((k, t), np.nan), np.full((k, t), np.nan)
        for c in np.flatnonzero(self.instances):
            mine, count = every.classes == c, int(self.instances[c])
            scores, hits = every.scores[mine], every.hits[mine]
            precision[c] = [average_precision(scores, hits[:, i], count) for i in range(t)]
            recall[c] = hits.sum(axis=0) / count
        at = {round(threshold, 2): i for i, threshold in enumerate(THRESHOLDS.tolist())}
        return DetectionReport(
            average_precision=precision,
            per_class=precision.mean(axis=1),
            map=known_mean(precision),
            map_50=known_mean(precision[:, at[0.5]]),
            map_75=known_mean(precision[:, at[0.75]]),
            recall=recall,
            average_recall=known_mean(recall),
            instances=self.instances,
            detections=np.bincount(every.classes, minlength=k),
            images=self.images,
        )


def _hits(iou: Float[np.ndarray, "m g"]) -> Bool[np.ndarray, "m 10"]:
    """Which detections, given from the best downwards, take a true box, at each threshold."""
    m, g = iou.shape
    hits, free = np.zeros((m, len(THRESHOLDS)), bool), np.ones((len(THRESHOLDS), g), bool)
    each = np.arange(len(THRESHOLDS))
    for i in range(m if g else 0):
        left = np.where(free, iou[i], -1.0)
        best = g - 1 - left[:, ::-1].argmax(axis=1)
        hits[i] = left[each, best] >= THRESHOLDS
        free[each, best] &= ~hits[i]
    return hits


def _iou(a: Float[np.ndarray, "m 4"], b: Float[np.ndarray, "k 4"]) -> Float[np.ndarray, "m k"]:
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0)
    overlap = sides.prod(axis=2)
    areas_a, areas_b = ((c[:, 2:] - c[:, :2]).prod(axis=1) for c in (a, b))
    union = areas_a[:, None] + areas_b[None] - overlap
    return overlap / np.where(overlap > 0, union, 1)


def _boxes(boxes: ArrayLike, name: str) -> Float[np.ndarray, "m 4"]:
    boxes = np.asarray(boxes, np.float64)
    boxes = boxes if boxes.size else boxes.reshape(-1, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected (x0, y0, x1, y1) of shape [m, 4], got {boxes.shape}")
    for wrong, what in (
        (~np.isfinite(boxes).all(axis=1), "expected finite corners"),
        (boxes[:, 2] < boxes[:, 0], "expected x1 >= x0 in (x0, y0, x1, y1)"),
        (boxes[:, 3] < boxes[:, 1], "expected y1 >= y0 in (x0, y0, x1, y1)"),
    ):
        if wrong.any():
            raise ValueError(f"{name}: {what}, got {tuple(boxes[wrong.argmax()].tolist())}")
    return boxes


def _scores(scores: ArrayLike, name: str, length: int) -> Float[np.ndarray, " m"]:
    scores = np.asarray(scores, np.float64)
    if scores.shape != (length,):
        raise ValueError(f"{name}: expected one each, shape ({length},), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name}: expected finite ones, got {scores[~np.isfinite(scores)][0]}")
    return scores


def _classes(classes: ArrayLike, name: str, length: int, k: int) -> Int[np.ndarray, " m"]:
    classes = np.asarray(classes)
    if classes.shape != (length,):
        raise ValueError(f"{name}: expected one each, shape ({length},), got {classes.shape}")
    wrong = ~np.isin(classes, np.arange(k))
    if wrong.any():
        raise ValueError(
            f"{name}: expected class numbers 0 to {k - 1}, got {classes[wrong.argmax()]}"
        )
    return classes.astype(np.int64)
