"""Semantic segmentation: scores of regions from one confusion matrix, and boundary F1.

Everything here is a value that takes images as they come: `add` returns a new one. Scores of
regions are shares of sums over the whole set, never means over images. Boundary F1 is a mean over
images, because its paper has it so.

Images may differ in size. A pixel whose label is `ignore` counts nowhere, whatever is predicted
there; an image of such pixels only changes nothing.

Reference:
    Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015 (pixel
    accuracy, mean accuracy, mean and frequency-weighted IoU); Csurka et al., "What is a good
    evaluation measure for semantic segmentation?", BMVC 2013 (boundary F1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from gan_mtl.metrics._shares import known_mean, share

Masks = Sequence[ArrayLike] | ArrayLike  # [n, h, w], or n arrays [h, w] of any sizes


class SegmentationReport(NamedTuple):
    """Scores of regions, all in [0, 1]; nan where there is nothing to take a share of.

    pixel_accuracy: the share of pixels whose class is right.
    mean_accuracy: the mean of `accuracy` over the classes that occur in the truth.
    mean_iou, mean_dice: means over the classes that occur in truth or prediction.
    frequency_weighted_iou: the mean of `iou`, each class weighted by its true pixels.
    accuracy: shape [k], the share of a class's true pixels that are found (its recall).
    iou: shape [k], intersection over union; nan for a class in neither truth nor prediction.
    dice: shape [k], 2 intersection / (truth + prediction), the F1 of its pixels; nan likewise.
    support: shape [k], true pixels.
    confusion: shape [k, k]; row = true class, column = predicted class, pixels.
    images: those that were added, the wholly ignored among them.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float
    accuracy: Float[np.ndarray, " k"]
    iou: Float[np.ndarray, " k"]
    dice: Float[np.ndarray, " k"]
    support: Int[np.ndarray, " k"]
    confusion: Int[np.ndarray, "k k"]
    images: int


class SegmentationScores(NamedTuple):
    """The confusion matrix of a stream; it depends neither on the batches nor on their order.

    confusion: int64, shape [k, k]; row = true class, column = predicted class, pixels.
    images: so far; errors number them from 0.
    ignore: the label of pixels that do not count.
    """

    confusion: Int[np.ndarray, "k k"]
    images: int
    ignore: int

    @classmethod
    def empty(cls, num_classes: int, ignore: int = 255) -> SegmentationScores:
        """No image yet, of classes 0 .. num_classes - 1; any number may be the ignored label."""
        _positive(num_classes)
        return cls(np.zeros((num_classes, num_classes), np.int64), 0, ignore)

    def add(self, labels: Masks, predictions: Masks) -> SegmentationScores:
        """The confusion matrix after a further batch.

        Args:
            labels: true classes 0 .. k - 1 or `ignore`, integers [n, h, w] or n masks [h, w].
            predictions: predicted classes (not logits), likewise; checked where labels count.

        Raises:
            ValueError: by the number of the image, for masks of another shape or size, classes
                outside the range; for unequal numbers of masks.
            TypeError: for numbers that are not whole.
        """
        k, n, confusion = len(self.confusion), self.images, self.confusion
        for truth, guess, counts in _samples(labels, predictions, k, self.ignore, n):
            pairs = truth[counts] * k + guess[counts]
            confusion = confusion + np.bincount(pairs, minlength=k * k).reshape(k, k)
            n += 1
        return self._replace(confusion=confusion, images=n)

    def merge(self, other: SegmentationScores) -> SegmentationScores:
        """Of both streams, which must have one number of classes and one ignored label."""
        _equal("num_classes", len(self.confusion), len(other.confusion))
        _equal("ignore", self.ignore, other.ignore)
        return self._replace(
            confusion=self.confusion + other.confusion, images=self.images + other.images
        )

    def report(self) -> SegmentationReport:
        """Scores of all images so far; without a pixel that counts they are nan."""
        hits, support = np.diag(self.confusion), self.confusion.sum(axis=1)
        both, pixels = support + self.confusion.sum(axis=0), self.confusion.sum()
        accuracy, iou, dice = (
            share(hits, support),
            share(hits, both - hits),
            share(2 * hits, both),
        )
        weighted = (support * np.where(support > 0, iou, 0)).sum()
        return SegmentationReport(
            pixel_accuracy=float(share(hits.sum(), pixels)),
            mean_accuracy=known_mean(accuracy),
            mean_iou=known_mean(iou),
            frequency_weighted_iou=float(share(weighted, pixels)),
            mean_dice=known_mean(dice),
            accuracy=accuracy,
            iou=iou,
            dice=dice,
            support=support,
            confusion=self.confusion,
            images=self.images,
        )


def mean_iou(labels: Masks, predictions: Masks, num_classes: int, ignore: int = 255) -> float:
    """Intersection over union over all pixels of the set, mean over the classes that occur.

    Args:
        labels: true classes 0 .. k - 1 or `ignore`, integers [n, h, w] or n masks [h, w].
        predictions: predicted classes, likewise.
        num_classes: k.
        ignore: the label of pixels that do not count.

    Returns:
        In [0, 1]; nan without a pixel that counts.

    Raises:
        ValueError, TypeError: as `SegmentationScores.add`.
    """
    return SegmentationScores.empty(num_classes, ignore).add(labels, predictions).report().mean_iou


class BoundaryReport(NamedTuple):
    """Boundary F1, in [0, 1]; nan where no image has a boundary.

    boundary_f1: mean over classes in an image, then over images.
    per_class: shape [k], mean over the images where the class has a boundary.
    images: those with a boundary.
    class_images: shape [k], those with a boundary of the class.
    """

    boundary_f1: float
    per_class: Float[np.ndarray, " k"]
    images: int
    class_images: Int[np.ndarray, " k"]


class BoundaryScores(NamedTuple):
    """Sums of boundary F1 over a stream; batches and order change it by rounding at most.

    The boundary of a class: its pixels of which a neighbour (above, below, left or right) is of
    another class. Neither an ignored pixel nor the border of the image makes one, so that a region
    within ignored pixels has none; pixels ignored in the truth are so in the prediction. Precision
    is the share of predicted boundary pixels with a true one of the class at a Euclidean distance
    of at most the tolerance (`<=`, from centre to centre), recall the reverse, F1 their harmonic
    mean. The mean over classes takes those with a boundary in truth or prediction (F1 = 0 if in
    only one of them), that over images those with such a class.

    total: F1 of the images, added up.
    images: those with a boundary.
    class_totals: shape [k], F1 of each class, added up.
    class_images: shape [k], images with a boundary of the class.
    seen: images so far; errors number them from 0.
    ignore: the label of pixels that do not count.
    tolerance: as a share of the image's diagonal.
    """

    total: float
    images: int
    class_totals: Float[np.ndarray, " k"]
    class_images: Int[np.ndarray, " k"]
    seen: int
    ignore: int
    tolerance: float

    @classmethod
    def empty(
        cls, num_classes: int, ignore: int = 255, tolerance: float = 0.0075
    ) -> BoundaryScores:
        """No image yet.

        Args:
            num_classes: k.
            ignore: the label of pixels that do not count.
            tolerance: a share of the diagonal, 0 to 1, not rounded: with the default, images of a
                diagonal below 134 pixels tolerate nothing.
        """
        _positive(num_classes)
        if not 0 <= tolerance <= 1:
            raise ValueError(f"tolerance: expected a share of the diagonal, got {tolerance}")
        k = num_classes
        return cls(0.0, 0, np.zeros(k), np.zeros(k, np.int64), 0, ignore, tolerance)

    def add(self, labels: Masks, predictions: Masks) -> BoundaryScores:
        """The sums after a further batch; arguments and errors as `SegmentationScores.add`."""
        added, k = self, len(self.class_totals)
        for truth, guess, counts in _samples(labels, predictions, k, self.ignore, self.seen):
            f1 = _boundary_f1(truth, guess, counts, k, self.tolerance)
            present = ~np.isnan(f1)
            added = added._replace(
                total=added.total + (known_mean(f1) if present.any() else 0.0),
                images=added.images + int(present.any()),
                class_totals=added.class_totals + np.where(present, f1, 0),
                class_images=added.class_images + present,
                seen=added.seen + 1,
            )
        return added

    def merge(self, other: BoundaryScores) -> BoundaryScores:
        """Of both streams, which must have the same settings."""
        _equal("num_classes", len(self.class_totals), len(other.class_totals))
        _equal("ignore", self.ignore, other.ignore)
        _equal("tolerance", self.tolerance, other.tolerance)
        return self._replace(
            total=self.total + other.total,
            images=self.images + other.images,
            class_totals=self.class_totals + other.class_totals,
            class_images=self.class_images + other.class_images,
            seen=self.seen + other.seen,
        )

    def report(self) -> BoundaryReport:
        """Boundary F1 of all images so far."""
        return BoundaryReport(
            boundary_f1=self.total / self.images if self.images else np.nan,
            per_class=share(self.class_totals, self.class_images),
            images=self.images,
            class_images=self.class_images,
        )


def _boundary_f1(
    truth: Int[np.ndarray, "h w"],
    guess: Int[np.ndarray, "h w"],
    counts: Bool[np.ndarray, "h w"],
    k: int,
    tolerance: float,
) -> Float[np.ndarray, " k"]:
    """Of each class in one image; nan where it has no boundary."""
    h, w = truth.shape
    limit = tolerance**2 * (h**2 + w**2) * (1 + 1e-12)  # a whole distance stays one
    true_edge, guessed_edge = _boundary(truth, counts), _boundary(guess, counts)
    f1 = np.full(k, np.nan)
    for c in np.union1d(truth[true_edge], guess[guessed_edge]):
        a, b = true_edge & (truth == c), guessed_edge & (guess == c)
        precision, recall = _near(b, a, limit), _near(a, b, limit)
        f1[c] = 2 * precision * recall / (precision + recall) if precision else 0.0
    return f1


def _boundary(
    mask: Int[np.ndarray, "h w"], counts: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Pixels with a neighbour of another class, neither of the two ignored."""
    edge = np.zeros(mask.shape, bool)
    for first, second in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (mask[first] != mask[second]) & counts[first] & counts[second]
        edge[first] |= differ
        edge[second] |= differ
    return edge


def _near(points: Bool[np.ndarray, "h w"], others: Bool[np.ndarray, "h w"], limit: float) -> float:
    """The share of points whose squared distance to one of the others is within the limit.

    Exact: the vertical distance to the nearest of the others is known everywhere, and every column
    within reach of a point is tried.
    """
    if not points.any() or not others.any():
        return 0.0
    h, w = others.shape
    row, far = np.arange(h)[:, None], h + w
    above = np.maximum.accumulate(np.where(others, row, -far), axis=0)
    below = np.minimum.accumulate(np.where(others, row, h + far)[::-1], axis=0)[::-1]
    reach = min(int(np.sqrt(limit)), w - 1)
    gaps = np.pad(
        np.minimum(row - above, below - row), ((0, 0), (reach, reach)), constant_values=far
    )
    y, x = np.nonzero(points)
    close = np.zeros(len(y), bool)
    for d in range(-reach, reach + 1):
        close |= gaps[y, x + reach + d] ** 2 + d**2 <= limit
    return float(close.mean())


def _samples(
    labels: Masks, predictions: Masks, k: int, ignore: int, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Truth, prediction and which pixels count, each [h, w], checked; `first` is their number."""
    both: tuple[Any, Any] = (labels, predictions)
    pairs = [x if isinstance(x, list | tuple) else np.atleast_1d(x) for x in both]
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError(
            f"labels and predictions: expected one each, got {len(pairs[0])} and {len(pairs[1])}"
        )
    for i, pair in enumerate(zip(*pairs, strict=True), start=first):
        named = tuple(zip(("labels", "predictions"), map(np.asarray, pair), strict=True))
        for name, mask in named:
            if mask.ndim != 2:
                remedy = {0: "; give a batch", 1: "; give a batch", 3: "; take the argmax"}
                raise ValueError(
                    f"sample {i}: {name}: expected class numbers of shape [h, w], got "
                    f"{mask.shape}{remedy.get(mask.ndim, '')}"
                )
            if not np.issubdtype(mask.dtype, np.integer):
                raise TypeError(
                    f"sample {i}: {name}: expected integer class numbers, got dtype {mask.dtype}"
                )
        truth, guess = (mask.astype(np.int64) for _, mask in named)
        if truth.shape != guess.shape:
            raise ValueError(
                f"sample {i}: labels are of size {truth.shape}, predictions of {guess.shape}; "
                "resize the predictions first"
            )
        counts = truth != ignore
        for name, mask in (("labels", truth), ("predictions", guess)):
            wrong = mask[counts & ((mask < 0) | (mask >= k))]
            if wrong.size:
                raise ValueError(
                    f"sample {i}: {name}: class {wrong[0]} found, expected 0 to {k - 1}"
                    + (f" (or {ignore}, which is ignored)" if name == "labels" else "")
                )
        yield truth, guess, counts


def _positive(num_classes: int) -> None:
    if num_classes < 1:
        raise ValueError(f"num_classes: expected at least 1, got {num_classes}")


def _equal(name: str, mine: float, other: float) -> None:
    if mine != other:
        raise ValueError(f"{name}: expected equal ones, got {mine} and {other}")
