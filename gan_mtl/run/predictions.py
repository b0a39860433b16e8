"""Pictures of what heads on maps say, beside what is true; they follow from the heads' names.

`presence`, `detection`, `segmentation`, `reconstruction` and `depth` (`games.vision_tasks`) are
drawn over the first test images, each in a PNG file of its own in `predictions/` of a run; what a
game repairs (`games.repair`) stands below the damaged images, a file for every corruption.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, SupportsIndex

import jax.numpy as jnp
import numpy as np

from gan_mtl import nets, parallel
from gan_mtl.data import Dataset, to_float
from gan_mtl.data.targets import IGNORE
from gan_mtl.run import drawings, images
from gan_mtl.run.evaluate import BATCH
from gan_mtl.types import Game

FOLDER = "predictions"
SHOWN = 8  # images
LEAST = 0.3  # score from which a box is drawn
Predict = Callable[[str, np.ndarray], np.ndarray]


class Rows(NamedTuple):
    """Rows of `SHOWN` pictures: what each shows, and the pictures, uint8 [rows x n, h, w, 3]."""

    labels: Sequence[str]
    pictures: np.ndarray


class Shown(NamedTuple):
    """What a head is drawn over: uint8 images [n, h, w, c], their targets, names of classes."""

    images: np.ndarray
    targets: dict[str, np.ndarray]
    names: Sequence[str]
    value_range: tuple[float, float]

    def name(self, k: SupportsIndex) -> str:
        """Of class k; its number where it has none."""
        number = int(k)
        return self.names[number] if number < len(self.names) else str(number)


def drawn(game: Game, dataset: Dataset) -> list[str]:
    """The heads of a game that are drawn: those whose targets the test split has."""
    there = {"images", *dataset.test.targets}
    return [name for name, (target, _) in HEADS.items() if name in game.predict and target in there]


def repaired(game: Game) -> list[str]:
    """The corruptions that a game repairs, by name."""
    end = "/repaired"
    return [name.removesuffix(end) for name in game.predict if name.endswith(end)]


def write(
    folder: pathlib.Path,
    game: Game,
    predict: Predict,
    dataset: Dataset,
    value_range: tuple[float, float],
    caption: str = "",
) -> list[pathlib.Path]:
    """Writes `<head>.png` for every head that is drawn, and what is repaired; returns the paths.

    Args:
        folder: of a run.
        predict: `(name, uint8 images) -> outputs`; it is asked about a whole batch, so that the
            program of the evaluation serves again.
        value_range: of the images that the game sees.
    """
    test, found = dataset.test, []
    targets = {name: x[:SHOWN] for name, x in test.targets.items()}
    shown = Shown(test.images[:SHOWN], targets, dataset.label_names, value_range)
    for name in drawn(game, dataset):
        outputs = np.asarray(predict(name, test.images[:BATCH]))[:SHOWN]
        found.append(_put(folder, name, HEADS[name][1](shown, outputs), caption))
    for name in repaired(game):
        stages = (f"{name}/{what}" for what in ("damaged", "repaired"))
        outputs = [np.asarray(predict(stage, test.images[:BATCH]))[:SHOWN] for stage in stages]
        found.append(_put(folder, f"repaired-{name}", _repairs(shown, outputs), caption))
    return found


def _put(folder: pathlib.Path, name: str, rows: Rows, caption: str) -> pathlib.Path:
    text = f"{name}, {caption}" if caption else name
    picture = images.grid(
        rows.pictures, len(rows.pictures) // len(rows.labels), row_labels=rows.labels, caption=text
    )
    return images.write_png(folder / FOLDER / f"{name}.png", picture)


def presence(shown: Shown, logits: np.ndarray) -> Rows:
    """Images with the tags that are said (wrong ones red) and those that are there."""
    said, true = logits > 0, shown.targets["present"] > 0

    def words(what: str, classes: np.ndarray, right: np.ndarray) -> list[tuple[str, bool]]:
        some = [(shown.name(k), bool(right[k])) for k in np.flatnonzero(classes)]
        return [(what, True), *(some or [("none", not right.any())])]

    everywhere = np.ones(true.shape[1:], bool)
    lines = [
        [words("said", s, t), words("true", t, everywhere if t.any() else t)]
        for s, t in zip(said, true, strict=True)
    ]
    return Rows(("image",), drawings.with_tags(drawings.enlarged(shown.images), lines))


def detection(shown: Shown, outputs: np.ndarray) -> Rows:
    """True boxes with their classes, and predicted ones with class and score."""
    size = shown.images.shape[1:3]
    decode = parallel.compile_function(lambda x: nets.decode_centres(x, size, least=LEAST))
    boxes, scores, classes = (np.asarray(x) for x in decode(jnp.asarray(outputs)))
    truth = shown.targets["objects"]
    canvas = drawings.enlarged(shown.images)
    factor = canvas.shape[1] // size[0]
    rows = []
    for box, number, score in (
        (truth[..., :4], truth[..., 4].astype(int), None),
        (boxes, classes, scores),
    ):
        kept = [c >= 0 for c in number]
        texts = [
            [
                shown.name(number[i, j]) + ("" if score is None else f" {score[i, j]:.2f}")
                for j in np.flatnonzero(k)
            ]
            for i, k in enumerate(kept)
        ]
        own, of = ([x[k] for x, k in zip(v, kept, strict=True)] for v in (box, number))
        rows.append(drawings.with_boxes(canvas, own, of, texts, factor))
    return Rows(("true", f"score >= {LEAST}"), np.concatenate(rows))


def segmentation(shown: Shown, logits: np.ndarray) -> Rows:
    """Image, true classes, predicted ones, and pixels that are wrong."""
    said, true = logits.argmax(axis=-1), shown.targets["mask"].astype(int)
    wrong = (said != true) & (true != IGNORE)
    rows = (
        np.broadcast_to(shown.images, (*shown.images.shape[:3], 3)),
        drawings.with_masks(shown.images, true),
        drawings.with_masks(shown.images, said),
        drawings.with_faults(shown.images, wrong),
    )
    return _stacked(("image", "true", "predicted", "difference"), rows)


def reconstruction(shown: Shown, outputs: np.ndarray) -> Rows:
    """Image, what the head makes of it, and the size of the difference."""
    low, high = shown.value_range
    apart = np.abs(to_float(shown.images, low, high) - outputs).mean(axis=-1) / (high - low)
    rows = (
        np.broadcast_to(shown.images, (*shown.images.shape[:3], 3)),
        _coloured(shown, outputs),
        drawings.shades(apart, 0.0, 1.0),
    )
    return _stacked(("image", "predicted", "difference"), rows)


def _repairs(shown: Shown, outputs: Sequence[np.ndarray]) -> Rows:
    """Image, the damaged one, the repaired one."""
    whole = np.broadcast_to(shown.images, (*shown.images.shape[:3], 3))
    rows = (whole, *(_coloured(shown, x) for x in outputs))
    return _stacked(("image", "damaged", "repaired"), rows)


def _coloured(shown: Shown, outputs: np.ndarray) -> np.ndarray:
    """Images of the game's range as uint8 [n, h, w, 3]."""
    low, high = shown.value_range
    unit = ((outputs - low) / (high - low)).clip(0, 1)
    return np.broadcast_to(np.rint(255 * unit).astype(np.uint8), (*unit.shape[:3], 3))


def depth(shown: Shown, outputs: np.ndarray) -> Rows:
    """Image, true depth, predicted depth (the nearest black), and the relative difference."""
    true, said = shown.targets["depth"].astype(np.float64), np.exp(outputs[..., 0])
    known = np.isfinite(true) & (true > 0)
    low, high = (float(f(true[known])) for f in (np.min, np.max)) if known.any() else (0.0, 1.0)
    true = np.where(known, true, np.nan)
    rows = (
        np.broadcast_to(shown.images, (*shown.images.shape[:3], 3)),
        drawings.shades(true, low, high),
        drawings.shades(said, low, high),
        drawings.shades(np.abs(said - true) / true, 0.0, 1.0),
    )
    return _stacked(("image", "true", "predicted", "difference"), rows)


def _stacked(labels: Sequence[str], rows: Sequence[np.ndarray]) -> Rows:
    return Rows(labels, drawings.enlarged(np.concatenate(rows)))


HEADS: dict[str, tuple[str, Callable[[Shown, np.ndarray], Rows]]] = {
    "presence": ("present", presence),
    "detection": ("objects", detection),
    "segmentation": ("mask", segmentation),
    "reconstruction": ("images", reconstruction),
    "depth": ("depth", depth),
}
