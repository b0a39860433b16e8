"""Networks that generated images are judged by: trained on real ones with all labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl import metrics, parallel
from gan_mtl.data import Dataset, stream
from gan_mtl.run.evaluate import Evaluation, in_batches, needed_features, unit_range
from gan_mtl.run.evaluate import distances as distances_of
from gan_mtl.types import Context, Game
from gan_mtl.update import alternating, variables_of

Predict = Callable[[str, np.ndarray], np.ndarray]
_KEPT: dict[str, Predict] = {}  # of this process: the cells of a study ask for the same judge


def judge(
    game: Game,
    name: str,
    dataset: Dataset,
    value_range: tuple[float, float],
    steps: int,
    batch_size: int = 32,
) -> Predict:
    """`(head, images in the value range) -> outputs` of a game trained on the training split.

    Trained once a process for a name, a split and a budget; its seed is 0.

    Args:
        game: without a generator; its batch entries are `images` and the split's targets.
        name: says which game it is.
        dataset: with the targets that the game asks for visible.
        value_range: what black and white became.
        steps, batch_size: of the training.
    """
    digest = hashlib.sha256(f"{name}, {steps} steps of {batch_size}, {value_range}".encode())
    for x in (dataset.train.images, *dataset.train.targets.values()):
        digest.update(x.tobytes())
    key = digest.hexdigest()
    if key not in _KEPT:
        _KEPT[key] = _trained(game, dataset, value_range, steps, batch_size)
    return _KEPT[key]


def _trained(game, dataset, value_range, steps, batch_size) -> Predict:
    size = min(batch_size, dataset.train.num_examples)
    batches = stream(dataset.train, size, 0, value_range=value_range)
    updater, root = alternating(game), jax.random.key(0)
    state = parallel.compile_function(updater.init)(root, batches.batch(0))
    update = parallel.compile_function(updater.update)
    for step in range(steps):
        state, _ = update(jax.random.fold_in(root, step), state, batches.batch(step))
    variables, context = variables_of(state), Context(root, jnp.zeros((), jnp.int32), train=False)
    heads: Mapping[str, Callable] = {
        head: parallel.compile_function(lambda v, x, f=f: f(v, x, context))
        for head, f in game.predict.items()
    }
    return lambda head, images: in_batches(lambda x, _: heads[head](variables, x), images)


def synthesis_scores(e: Evaluation, predict: Predict | None = None) -> dict[str, float]:
    """Scores of images that the generator makes of the test scenes' label maps.

    Args:
        predict: a `judge`; None leaves its scores out.

    Returns:
        `asked_miou`, `asked_pixel_accuracy`: how well the judge's head `segmentation` finds in
        them what they were asked to show (the protocol of SPADE and OASIS), and of the same scenes'
        own images `real_miou`, `real_pixel_accuracy`, what can be had; with a feature network
        `frechet` to `coverage` against the test images.
    """
    test = e.dataset.test
    images = e.sample(test.num_examples, test.targets["mask"])
    found: dict[str, float] = {}
    if predict is not None:
        low, high = e.spec.value_range
        real = (test.images / 255 * (high - low) + low).astype(np.float32)
        for name, shown in (("asked", images), ("real", real)):
            scores = metrics.SegmentationScores.empty(e.spec.num_classes + 1)
            logits = predict("segmentation", shown)
            report = scores.add(test.targets["mask"], logits.argmax(axis=-1)).report()
            found[f"{name}_miou"] = report.mean_iou
            found[f"{name}_pixel_accuracy"] = report.pixel_accuracy
    if e.features is not None:
        features = needed_features(e).features
        reals = features(unit_range(test.images.astype(np.float32), (0.0, 255.0)))
        found |= distances_of(reals, features(unit_range(images, e.spec.value_range)))
    return found
