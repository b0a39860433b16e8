"""What is measured of a trained game, and the network that generated images are scored by."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_mtl import games, metrics, nets, parallel
from gan_mtl.data import Dataset, Split, stream, take, to_float
from gan_mtl.metrics.kernel import polynomial_mmd2
from gan_mtl.run.config import Config, Spec
from gan_mtl.run.whole import whole
from gan_mtl.types import Context, Game, Variables
from gan_mtl.update import alternating, variables_of

BATCH = 500  # examples that are predicted or sampled at once


class Evaluation(NamedTuple):
    """What an experiment's `evaluate` is given: one cell's state, ready to be asked.

    predict: `(name, uint8 images, draw=0) -> outputs`, of the game's `predict`; where that draws
        random numbers, every image has its own by its place among these, whatever the size of a
        batch, and another `draw` has others.
    sample: `(n, labels | None) -> images in the value range`, always from the same latents.
    dataset: as the training saw it (hidden labels hidden); its test split has its labels.
    features: the scoring network, or None where the experiment asks for none.
    fresh: `() -> predict` of the same cell before its first step.
    """

    game: Game
    predict: Callable[..., np.ndarray]
    sample: Callable[[int, np.ndarray | None], np.ndarray]
    dataset: Dataset
    spec: Spec
    features: FeatureNetwork | None
    seed: int
    fresh: Callable[[], Callable[..., np.ndarray]]


class FeatureNetwork(NamedTuple):
    """A small classifier trained on the training split alone; its features define the scores.

    features: `(images [n, h, w, c] in [-1, 1]) -> [n, d]`; classify: `-> classes [n]`.
    name: what it is; digest: of its parameters; accuracy: of the test split.
    """

    features: Callable[[np.ndarray], np.ndarray]
    classify: Callable[[np.ndarray], np.ndarray]
    name: str
    digest: str
    accuracy: float


def evaluator(game: Game, spec: Spec) -> Callable[[Variables, int], tuple[Callable, Callable]]:
    """Compiles a game's prediction and sampling once; `(variables, seed) -> (predict, sample)`."""
    context = Context(jax.random.key(0), jnp.zeros((), jnp.int32), train=False)
    predicts = {
        name: parallel.compile_function(
            lambda v, x, draw, first, f=f: f(
                v,
                to_float(x, *spec.value_range),
                context._replace(key=jax.random.fold_in(context.key, draw), offset=first),
            )
        )
        for name, f in game.predict.items()
    }

    def sample_some(variables, key, labels, n):
        assert game.sample is not None
        return game.sample(variables, n, labels, context._replace(key=key))

    sampled = parallel.compile_function(sample_some, static_argnums=3)

    def bind(variables: Variables, seed: int) -> tuple[Callable, Callable]:
        def predict(name: str, images: np.ndarray, draw: int = 0) -> np.ndarray:
            def asked(x: np.ndarray, first: int) -> Any:
                return predicts[name](variables, x, np.uint32(draw), np.int32(first))

            return in_batches(asked, images)

        def sample(n: int, labels: np.ndarray | None = None) -> np.ndarray:
            key = jax.random.fold_in(jax.random.key(seed), 0x5A)
            size = min(n, BATCH)
            parts = []
            for i in range(-(-n // size)):
                wanted = None
                if labels is not None:
                    wanted = _padded(np.asarray(labels, np.int32)[i * size : (i + 1) * size], size)
                found = sampled(variables, jax.random.fold_in(key, i), wanted, size)
                parts.append(np.asarray(found))
            return np.concatenate(parts)[:n]

        return predict, sample

    return bind


def in_batches(function: Callable[[np.ndarray, int], Any], images: np.ndarray) -> Any:
    """`function` over batches of one size (the last one padded), its arrays joined.

    Args:
        function: `(images of a batch, place of the first of them among all) -> arrays [n, ...]`.
    """
    if not len(images):
        raise ValueError("images: there are none; give at least one.")
    size = min(len(images), BATCH)
    parts = [
        jax.tree.map(np.asarray, function(_padded(images[i : i + size], size), i))
        for i in range(0, len(images), size)
    ]
    return jax.tree.map(lambda *found: np.concatenate(found)[: len(images)], *parts)


def _padded(x: np.ndarray, size: int) -> np.ndarray:
    if len(x) == size:
        return x
    return np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])


def scoring_network(
    config: Config, dataset: Dataset, games: Iterable[Game], folder: pathlib.Path
) -> FeatureNetwork | None:
    """The network that a study's samples are scored by; None where nothing is generated."""
    generates = any(game.sample is not None for game in games)
    if not (dataset.num_classes and generates) or config.feature_steps == 0:
        return None
    return train_features(dataset, folder, config.feature_steps)


def train_features(
    dataset: Dataset, folder: pathlib.Path, steps: int | None = None, seed: int = 0
) -> FeatureNetwork:
    """Trains the scoring network on all labels of the training split, or reads it back.

    A CNN of 32 and 64 channels and 64 features, Adam 1e-3, batch 128. Kept in `folder` under the
    hash of what it was trained on.

    Args:
        dataset: of its training split the examples that have a label are used.
        steps: of training; by default five epochs, at least 600 (on small sets some 50 epochs).
    """
    steps = steps or max(600, 5 * dataset.train.num_examples // 128)
    name = f"cnn 32-64-64, {steps} steps, {dataset.name} train ({dataset.train.num_examples})"
    trunk = nets.from_linen(nets.CNNTrunk((32, 64), features=64))
    head = games.class_task(nets.from_linen(nets.Head(dataset.num_classes)), labelled=False)
    game = games.multitask(trunk, (head,), optax.adam(1e-3))
    updater = alternating(game)
    train = take(dataset.train, dataset.train.visible)
    size = min(128, train.num_examples)
    batches = stream(train, size, seed)
    key = jax.random.key(seed)
    state = parallel.compile_function(updater.init)(key, batches.batch(0))
    path = folder / f"features-{_digest(train, f'{name}, seed {seed}')}.npz"
    leaves, tree = jax.tree.flatten(state.params)
    if path.exists():
        with np.load(path) as saved:
            leaves = [saved[f"leaf{i}"] for i in range(len(leaves))]
        params = jax.tree.unflatten(tree, leaves)
    else:
        update = parallel.compile_function(updater.update)
        for step in range(steps):
            state, _ = update(jax.random.fold_in(key, step), state, batches.batch(step))
        params = jax.device_get(state.params)
        folder.mkdir(parents=True, exist_ok=True)
        with whole(path) as unfinished:
            np.savez(unfinished, **{f"leaf{i}": x for i, x in enumerate(jax.tree.leaves(params))})
    return _network(game, Variables(params, variables_of(state).state), name, dataset.test)


def _network(game: Game, variables: Variables, name: str, test: Split) -> FeatureNetwork:
    context = Context(jax.random.key(0), jnp.zeros((), jnp.int32), train=False)
    hidden, logits = (
        parallel.compile_function(lambda v, x, f=game.predict[which]: f(v, x, context))
        for which in ("features", "class")
    )

    def features(images: np.ndarray) -> np.ndarray:
        return in_batches(lambda x, _: hidden(variables, x), images)

    def classify(images: np.ndarray) -> np.ndarray:
        return in_batches(lambda x, _: logits(variables, x), images).argmax(axis=-1)

    accuracy = metrics.accuracy(test.labels, classify(to_float(test.images)))
    return FeatureNetwork(
        features, classify, name, metrics.weights_hash(variables.params), accuracy
    )


def _digest(split: Split, name: str) -> str:
    found = hashlib.sha256(name.encode())
    found.update(split.images.tobytes())
    found.update(split.labels.tobytes())
    return found.hexdigest()[:16]


def class_scores(
    e: Evaluation, split: Split | None = None, *, head: str = "class", target: str | None = None
) -> dict[str, Any]:
    """Accuracy, macro F1 and the confusion matrix of a head on the test split.

    Args:
        split: another one.
        head: by its name in the game's `predict`.
        target: the entry of the split's `targets` that it predicts; None is the labels. Its name
            begins the names of the scores, as in `left_test_accuracy`.
    """
    split = split or e.dataset.test
    labels = split.labels if target is None else split.targets[target]
    predictions = e.predict(head, split.images).argmax(axis=-1)
    report = metrics.classification_report(labels, predictions, e.spec.num_classes)
    prefix = "" if target is None else f"{target}_"
    return {
        f"{prefix}test_accuracy": report.accuracy,
        f"{prefix}test_macro_f1": report.macro.f1,
        f"{prefix}confusion": report.confusion.tolist(),
    }


def classes_in_turn(game: Game, n: int) -> np.ndarray | None:
    """Labels [n] as equally many of each class as there can be; None of an unconditional game."""
    return np.arange(n) % game.classes if game.classes else None


def needed_features(e: Evaluation) -> FeatureNetwork:
    """The feature network of an evaluation that cannot do without.

    Raises:
        ValueError: if there is none.
    """
    if e.features is None:
        raise ValueError(
            "feature_steps=0: there is no feature network, and samples are scored under one; leave "
            "--feature-steps out."
        )
    return e.features


def sample_scores(e: Evaluation, count: int) -> dict[str, Any]:
    """Frechet and kernel distance and PRDC of `count` samples against the test images.

    Under the feature network, whose name and hash go along as the protocol. Of a conditional
    generator also `classified_as_asked`: how often that network recognises the class asked for.
    """
    judge = needed_features(e)
    real = judge.features(to_float(e.dataset.test.images))
    asked = classes_in_turn(e.game, count)
    images = unit_range(e.sample(count, asked), e.spec.value_range)
    found = distances(real, judge.features(images))
    if asked is not None:
        found["classified_as_asked"] = float((judge.classify(images) == asked).mean())
    return {
        **found,
        "protocol": {
            "features": judge.name,
            "features_hash": judge.digest,
            "real": f"{len(real)} test images",
            "fake": count,
            "ema": not {"gen", "decoder"}.isdisjoint(e.game.ema),
        },
    }


def distances(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Frechet distance, kernel distance and PRDC (k = 5) between two sets of features."""
    found = metrics.prdc(real, fake, k=5)
    return {
        "frechet": metrics.frechet_distance(*metrics.moments(real), *metrics.moments(fake)),
        "kernel": polynomial_mmd2(real, fake),
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }


def unit_range(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Images from `value_range` to [-1, 1], which the feature network takes."""
    low, high = value_range
    return ((images - low) / (high - low) * 2 - 1).astype(np.float32)
