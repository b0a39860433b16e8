"""Scores of heads that say the targets, and of heads that say something else."""

import numpy as np
import pytest

from gan_mtl import metrics
from gan_mtl.data import Dataset, Split
from gan_mtl.losses.centres import centre_targets
from gan_mtl.run import vision_scores
from gan_mtl.run.evaluate import Evaluation

RNG = np.random.default_rng(4)
N, SIDE, PLACES, K = 7, 16, 8, 3


def scene():
    """Seven images with a square each; its class is that of its pixels, 0 is the background."""
    objects = np.zeros((N, 2, 5), np.float32)
    objects[:, 1, 4] = -1
    mask = np.zeros((N, SIDE, SIDE), np.uint8)
    present = np.zeros((N, K), np.int32)
    for i in range(N):
        x, y, c = *RNG.integers(0, 8, 2), i % K
        objects[i, 0] = [x, y, x + 8, y + 8, c]
        mask[i, y : y + 8, x : x + 8] = c + 1
        present[i, c] = 1
    depth = (1 + mask).astype(np.float32)
    depth[:, 0] = 0  # unknown
    targets = {"objects": objects, "mask": mask, "present": present, "depth": depth}
    return Split(np.zeros((N, SIDE, SIDE, 1), np.uint8), np.zeros(N, np.int32), targets)


def outputs(split):
    """What perfect heads would say."""
    target = centre_targets(split.targets["objects"], K, (PLACES, PLACES), (SIDE, SIDE))
    boxes = np.zeros((N, PLACES, PLACES, K + 4), np.float32)
    boxes[..., :K] = np.where(np.asarray(target.heat) == 1, 5.0, -9.0)
    for i in range(N):
        y, x = divmod(int(target.places[i, 0]), PLACES)
        boxes[i, y, x, K:] = [*target.offsets[i, 0], *target.sizes[i, 0]]
    return {
        "presence": 2.0 * split.targets["present"] - 1,
        "detection": boxes,
        "segmentation": np.eye(K + 1)[split.targets["mask"]],
        "depth": np.log1p(split.targets["mask"].astype(np.float32))[..., None],
    }


def asked(split, said):
    """An evaluation whose heads say `said`; images are told apart by their number."""
    numbered = split._replace(
        images=np.arange(N, dtype=np.uint8)[:, None, None, None] + split.images
    )

    def predict(name, images):
        return said[name][images[:, 0, 0, 0]]

    dataset = Dataset("scene", numbered, numbered, K, ("a", "b", "c"), {})
    return Evaluation(None, predict, None, dataset, None, None, 0, None)  # pyright: ignore


@pytest.mark.parametrize("size", [2, 500])
def test_perfect_heads_have_perfect_scores(monkeypatch, size):
    monkeypatch.setattr(vision_scores, "SLICE", size)
    split = scene()
    e = asked(split, outputs(split))
    found = {
        **vision_scores.presence_scores(e),
        **vision_scores.detection_scores(e, K),
        **vision_scores.segmentation_scores(e, K + 1, boundaries=True),
        **vision_scores.depth_scores(e),
    }
    assert found["presence_f1"] == [1.0] * K and found["presence_exact_match"] == 1
    ones = ("detection_map_50", "detection_map", "segmentation_miou", "segmentation_boundary_f1")
    for name in ones:
        assert found[name] == pytest.approx(1.0), name
    assert found["segmentation_pixel_accuracy"] == 1 and len(found["segmentation_iou"]) == K + 1
    assert found["depth_rmse"] == pytest.approx(0, abs=1e-6) and found["depth_delta"] == 1


def test_what_is_said_of_other_images_scores_less():
    split = scene()
    said = {name: np.roll(x, 1, axis=0) for name, x in outputs(split).items()}
    e = asked(split, said)
    assert vision_scores.presence_scores(e)["presence_exact_match"] < 0.5
    assert vision_scores.detection_scores(e, K)["detection_map_50"] < 0.5
    wrong = vision_scores.segmentation_scores(e, K + 1, boundaries=True)
    edges = metrics.BoundaryScores.empty(K + 1)
    for part in range(0, split.num_examples, 2):
        some = slice(part, part + 2)
        edges = edges.add(split.targets["mask"][some], said["segmentation"][some].argmax(axis=-1))
    boundary = wrong["segmentation_boundary_f1"]
    assert boundary == pytest.approx(edges.report().boundary_f1, rel=1e-12) and boundary < 0.9
    truth, guess = split.targets["mask"], np.roll(split.targets["mask"], 1, axis=0)
    shares = [
        ((truth == c) & (guess == c)).sum() / ((truth == c) | (guess == c)).sum()
        for c in range(K + 1)
    ]
    np.testing.assert_allclose(wrong["segmentation_iou"], shares, rtol=1e-12)
    true, found = (1.0 + x[:, 1:] for x in (truth, guess))
    apart = vision_scores.depth_scores(e)["depth_absolute_relative"]
    assert apart == pytest.approx((np.abs(found - true) / true).mean(), rel=1e-6)
