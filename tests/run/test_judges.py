"""Generated images under a network that knows the real ones."""

import numpy as np
import optax
from pointwise import pointwise

from gan_mtl.data import Dataset, Split
from gan_mtl.games import multitask, segmentation_task
from gan_mtl.run.config import Spec
from gan_mtl.run.evaluate import Evaluation
from gan_mtl.run.judges import judge, synthesis_scores

SHADES = np.array([0, 100, 200], np.uint8)
MASK = np.random.default_rng(0).integers(0, 3, (12, 4, 6)).astype(np.uint8)
SPLIT = Split(SHADES[MASK][..., None], np.zeros(12, np.int32), {"mask": MASK})
DATA = Dataset("shades", SPLIT, SPLIT, 2, ("a", "b"), {})
SPEC = Spec((4, 6, 1), 2, (-1.0, 1.0), 10)


def evaluation(sample):
    return Evaluation(None, None, sample, DATA, SPEC, None, 0, None)  # pyright: ignore


def shade(images):
    """Logits of the nearest shade."""
    values = SHADES / 255 * 2 - 1
    return -np.abs(images - values)


def painted(n, mask):
    """The map that is asked for, but for class 2, which is painted as class 1."""
    assert n == len(mask)
    return (SHADES[np.minimum(mask, 1)] / 255 * 2 - 1)[..., None].astype(np.float32)


def test_scores_are_of_what_was_asked_for():
    found = synthesis_scores(evaluation(painted), lambda head, images: shade(images))
    counts = np.bincount(MASK.ravel(), minlength=3)
    ones = counts[1] / (counts[1] + counts[2])
    np.testing.assert_allclose(found["asked_miou"], (1 + ones + 0) / 3, rtol=1e-6)
    np.testing.assert_allclose(found["asked_pixel_accuracy"], 1 - counts[2] / MASK.size, rtol=1e-6)
    assert found["real_miou"] == 1.0 and "frechet" not in found
    assert synthesis_scores(evaluation(painted)) == {}


def test_a_judge_learns_all_labels_once():
    def game():
        return multitask(pointwise(6), (segmentation_task(pointwise(3)),), optax.adam(0.03))

    found = judge(game(), "shades", DATA, SPEC.value_range, 200, 6)
    assert judge(game(), "shades", DATA, SPEC.value_range, 200, 6) is found
    scores = synthesis_scores(evaluation(painted), found)
    assert scores["real_miou"] > 0.95 > scores["asked_miou"]
