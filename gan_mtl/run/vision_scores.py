"""Scores of heads on maps: what is in an image, where, and every pixel; for an `evaluate`.

The heads are those of `games.presence_task`, `detection_task`, `segmentation_task`, `depth_task`,
the targets `present`, `objects`, `mask`, `depth` of the split.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from gan_mtl import metrics, nets, parallel
from gan_mtl.data import Split
from gan_mtl.run.evaluate import Evaluation

SLICE = 500  # images whose outputs are held at once


def presence_scores(
    e: Evaluation, split: Split | None = None, *, head: str = "presence"
) -> dict[str, Any]:
    """Macro F1 over classes, and the share of images of which every class is right.

    A class is said to be in an image where its logit is above 0.
    """
    split = split or e.dataset.test
    found = e.predict(head, split.images) > 0
    report = metrics.multilabel_report(split.targets["present"], found.astype(int))
    return {
        f"{head}_macro_f1": report.macro.f1,
        f"{head}_macro_recall": report.macro.recall,
        f"{head}_exact_match": report.exact_match,
        f"{head}_f1": report.f1.tolist(),
    }


def detection_scores(
    e: Evaluation,
    num_classes: int,
    split: Split | None = None,
    *,
    head: str = "detection",
    least: float = 0.01,
    overlap: float = 0.5,
) -> dict[str, Any]:
    """Mean average precision by COCO's rule: at IoU 0.5, at 0.75, and over 0.5 to 0.95.

    Args:
        num_classes: k.
        split: the test split by default.
        head: by its name in the game's `predict`.
        least: score that a box needs.
        overlap: of the suppression.
    """
    split = split or e.dataset.test
    size = split.images.shape[1:3]
    decode = parallel.compile_function(
        lambda x: nets.decode_centres(x, size, least=least, overlap=overlap)
    )
    scores = metrics.DetectionScores.empty(num_classes)
    for part in _slices(split):
        found = decode(jnp.asarray(e.predict(head, part.images)))
        boxes, likely, classes = (np.asarray(x) for x in found)
        scores = scores.add_batch(boxes, likely, classes, part.targets["objects"])
    report = scores.report()
    return {
        f"{head}_map_50": report.map_50,
        f"{head}_map_75": report.map_75,
        f"{head}_map": report.map,
        f"{head}_average_recall": report.average_recall,
        f"{head}_per_class": report.per_class.tolist(),
    }


def segmentation_scores(
    e: Evaluation,
    num_classes: int,
    split: Split | None = None,
    *,
    head: str = "segmentation",
    boundaries: bool = False,
) -> dict[str, Any]:
    """Mean IoU, pixel accuracy, mean Dice, and the IoU of every class, of sums over all pixels.

    Args:
        num_classes: k, the background included.
        split: the test split by default.
        head: by its name in the game's `predict`.
        boundaries: whether boundary F1 is added, some 50 ms for one of 240 x 180.
    """
    scores = metrics.SegmentationScores.empty(num_classes)
    edges = metrics.BoundaryScores.empty(num_classes)
    for part in _slices(split or e.dataset.test):
        predicted = e.predict(head, part.images).argmax(axis=-1)
        scores = scores.add(part.targets["mask"], predicted)
        if boundaries:
            edges = edges.add(part.targets["mask"], predicted)
    report = scores.report()
    found = {f"{head}_boundary_f1": edges.report().boundary_f1} if boundaries else {}
    return {
        **found,
        f"{head}_miou": report.mean_iou,
        f"{head}_pixel_accuracy": report.pixel_accuracy,
        f"{head}_mean_dice": report.mean_dice,
        f"{head}_iou": report.iou.tolist(),
    }


def depth_scores(
    e: Evaluation, split: Split | None = None, *, head: str = "depth"
) -> dict[str, Any]:
    """Mean relative error, root mean square, share within a factor of 1.25, of all known pixels."""
    scores = metrics.DepthScores()
    for part in _slices(split or e.dataset.test):
        depths = np.exp(e.predict(head, part.images)[..., 0].astype(np.float64))
        scores = scores.add(part.targets["depth"], depths)
    report = scores.report()
    return {
        f"{head}_absolute_relative": report.absolute_relative,
        f"{head}_rmse": report.rmse,
        f"{head}_delta": report.delta,
    }


def _slices(split: Split) -> list[Split]:
    """Consecutive parts of at most `SLICE` images."""
    parts = []
    for i in range(0, split.num_examples, SLICE):
        targets = {name: x[i : i + SLICE] for name, x in split.targets.items()}
        parts.append(Split(split.images[i : i + SLICE], split.labels[i : i + SLICE], targets))
    return parts
