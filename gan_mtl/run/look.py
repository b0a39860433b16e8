"""Looking at a trained GAN: what lies between its images, what they copy, what the judge sees."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl import sampling
from gan_mtl.data import Dataset, to_float
from gan_mtl.run import images
from gan_mtl.run.evaluate import classes_in_turn
from gan_mtl.run.load import Loaded
from gan_mtl.types import Array, Context
from gan_mtl.update import variables_of

ROWS, COLUMNS = 8, 10
DRAWN = 500  # images whose principal components are the directions
FAR = 3.0  # standard deviations to either end of a direction


def pictures(loaded: Loaded, dataset: Dataset, folder: pathlib.Path, seed: int = 0) -> list:
    """Writes the pictures; returns their paths.

    `interpolation.png`: every row goes from one latent to another in equal steps, under one class
    where there are classes. `directions.png`: one image, in every row moved along one of the
    directions that change images most. `codes.png`, where the latents hold codes (InfoGAN): in
    every row one code goes through its values. `neighbours.png`: samples, and below each the
    nearest training image by pixels. `gradients.png`, where the game predicts "disc": test images
    and samples, and below each how strongly the discriminator's logit depends on its pixels.

    Raises:
        ValueError: for a run without a generator from latents.
    """
    context = Context(jax.random.key(seed), jnp.zeros((), jnp.int32), train=False)
    low, high = loaded.spec.value_range
    samples = np.asarray(
        loaded.sample(context.key, 2 * COLUMNS, classes_in_turn(loaded.game, 2 * COLUMNS))
    )
    reals = to_float(dataset.train.images, low, high)
    closest = reals[sampling.nearest(samples, reals).index]
    found = {
        "interpolation": interpolation(loaded, context),
        "directions": directions(loaded, context),
        "neighbours": _pairs(samples, closest),
    }
    if loaded.game.codes:
        found["codes"] = codes(loaded, context)
    if "disc" in loaded.game.predict:
        held_out = to_float(dataset.test.images[:COLUMNS], low, high)
        looked_at = np.concatenate([held_out, samples[:COLUMNS]])
        found["gradients"] = _pairs(looked_at, gradients(loaded, looked_at, context))
    return [
        images.write_png(folder / f"{name}.png", images.grid(x, COLUMNS, value_range=(low, high)))
        for name, x in found.items()
    ]


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rows of the one, and below each those of the other."""
    return np.concatenate([x[i : i + COLUMNS] for i in (0, COLUMNS) for x in (first, second)])


def _generator(loaded: Loaded) -> tuple[Any, Any]:
    """What draws latents and what makes images of them."""
    draw, generate = loaded.game.latents, loaded.game.generate
    if draw is None or generate is None:
        raise ValueError(
            f"{loaded.arm.text or 'this run'} has no generator from latents to look at."
        )
    return draw, generate


def directions(loaded: Loaded, context: Context) -> np.ndarray:
    """Images [rows x columns, h, w, c]: one latent, along the principal components of images.

    Each row goes from -3 to 3 standard deviations; the components are those of 500 images of one
    class, carried over to the latents (`sampling.latent_directions`).
    """
    draw, generate = _generator(loaded)
    z: Array = draw(DRAWN, context.fold("directions"))
    variables, classes = variables_of(loaded.state), loaded.game.classes

    def make(z: Array) -> np.ndarray:
        labels = jnp.zeros((len(z),), jnp.int32) if classes else None
        return np.asarray(generate(variables, z, labels, context))

    moves = sampling.latent_directions(make(z), min(ROWS, z.shape[1]), z).latent
    far = jnp.linspace(-FAR, FAR, COLUMNS)[None, :, None]
    return make((z[:1, None] + far * moves[:, None].astype(z.dtype)).reshape(-1, z.shape[1]))


def codes(loaded: Loaded, context: Context) -> np.ndarray:
    """Images [codes x columns, h, w, c]: of one latent, in row i the i-th code varied.

    A categorical code takes its values in turn, a continuous one those from -2 to 2, as in figure 2
    of InfoGAN (Chen et al., NeurIPS 2016).
    """
    draw, generate = _generator(loaded)
    z, rows = draw(1, context.fold("codes")), []
    start = z.shape[1] - sum(loaded.game.codes)
    for size in loaded.game.codes:
        if size == 1:
            row = sampling.traverse(z, start, jnp.linspace(-2.0, 2.0, COLUMNS, dtype=z.dtype))[0]
        else:
            values = jax.nn.one_hot(jnp.arange(COLUMNS) % size, size, dtype=z.dtype)
            row = jnp.tile(z, (COLUMNS, 1)).at[:, start : start + size].set(values)
        rows.append(row)
        start += size
    labels = jnp.zeros((len(rows) * COLUMNS,), jnp.int32) if loaded.game.classes else None
    return np.asarray(generate(variables_of(loaded.state), jnp.concatenate(rows), labels, context))


def gradients(loaded: Loaded, shown: np.ndarray, context: Context) -> np.ndarray:
    """Maps [n, h, w, c] in the value range: black where the logit does not depend on a pixel.

    Sizes of the logit's gradients (`sampling.input_gradients`), each map scaled to its largest.
    """
    variables, disc = variables_of(loaded.state), loaded.game.predict["disc"]
    found = sampling.input_gradients(lambda x: disc(variables, x, context), jnp.asarray(shown))
    sizes = np.abs(np.asarray(found))
    largest = sizes.max(axis=(1, 2, 3), keepdims=True)
    low, high = loaded.spec.value_range
    return low + (high - low) * sizes / np.maximum(largest, np.finfo(sizes.dtype).tiny)


def interpolation(loaded: Loaded, context: Context) -> np.ndarray:
    """Images [rows x columns, h, w, c] between pairs of latents, on straight lines."""
    draw, generate = _generator(loaded)
    ends: Array = draw(2 * ROWS, context)
    lines = [
        sampling.interpolation_grid(ends[2 * i : 2 * i + 2], 1, COLUMNS, sampling.lerp)[0]
        for i in range(ROWS)
    ]
    labels = None
    if loaded.game.classes:
        labels = jnp.repeat(jnp.arange(ROWS) % loaded.game.classes, COLUMNS)
    made = generate(variables_of(loaded.state), jnp.concatenate(lines), labels, context)
    return np.asarray(made)


def memorising(loaded: Loaded, dataset: Dataset, count: int, seed: int = 0) -> dict[str, Any]:
    """Whether generator and discriminator know the training images by heart.

    Returns:
        `nearest_sample` and `nearest_held_out`, the median distances (per pixel, root mean square)
        of samples and of test images to their nearest training image: a generator that copies has
        the smaller one by far; and where the game predicts "disc", `logit_gap`: how often the
        discriminator ranks a training image above a test image (0.5 is never having learnt them),
        with its standard error.
    """
    low, high = loaded.spec.value_range
    train, test = (to_float(s.images, low, high) for s in (dataset.train, dataset.test))
    samples = loaded.sample(jax.random.key(seed), count, classes_in_turn(loaded.game, count))
    root = np.sqrt(np.prod(train.shape[1:]))
    found: dict[str, Any] = {}
    for name, some in (("sample", np.asarray(samples)), ("held_out", test[:count])):
        distance = sampling.nearest(some, train).distance
        found[f"nearest_{name}"] = float(np.median(distance) / root)
    if "disc" in loaded.game.predict:
        size = min(count, len(dataset.train.images), len(dataset.test.images))
        logits = [loaded.predict("disc", s.images[:size]) for s in (dataset.train, dataset.test)]
        gap = sampling.logit_gap(*logits)
        found |= {"logit_gap": gap.auc, "logit_gap_error": gap.standard_error}
    return found
