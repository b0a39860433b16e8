"""Where heads look: Grad-CAM of every head on maps, and the masks of MTAN, over test images."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from gan_mtl import parallel, sampling
from gan_mtl.data import Dataset, to_float
from gan_mtl.run import drawings, images
from gan_mtl.run.predictions import FOLDER, SHOWN
from gan_mtl.types import Array, Context, Game, Variables

EXPLAINED = ("class", "presence", "detection", "segmentation")
ATTENTION = "attention/"  # begins what MTAN predicts of a task


def write(
    folder: pathlib.Path,
    game: Game,
    variables: Variables,
    dataset: Dataset,
    value_range: tuple[float, float],
) -> list[pathlib.Path]:
    """Writes `predictions/grad_cam.png` and `attention.png`, where there is something to show."""
    shown = dataset.test.images[:SHOWN]
    x = jnp.asarray(to_float(shown, *value_range))
    context = Context(jax.random.key(0), jnp.zeros((), jnp.int32), train=False)
    found = {
        "grad_cam": (
            cams(game, variables, x, context),
            "what speaks for the likeliest output, by the largest value of each image",
        ),
        "attention": (
            attention(game, variables, x, context),
            "masks, means over channels, from the least to the greatest value of each row",
        ),
    }
    canvas = drawings.enlarged(shown)
    return [
        images.write_png(
            folder / FOLDER / f"{name}.png",
            images.grid(
                np.concatenate([drawings.with_heat(canvas, heat) for heat in rows.values()]),
                len(shown),
                row_labels=list(rows),
                caption=f"{name}: {text}",
            ),
        )
        for name, (rows, text) in found.items()
        if rows
    ]


def cams(game: Game, variables: Variables, x: Array, context: Context) -> dict[str, np.ndarray]:
    """Grad-CAM [n, h, w] on the coarsest map, by head, each in [0, 1] by its largest value.

    Of the likeliest class, of the surest centre, and of the class of most pixels after the one that
    fills most of the image. Heads on features without places are left out.
    """
    heads = {}
    for name in EXPLAINED:
        seen = next((s for s in ("features", f"features/{name}") if s in game.predict), None)
        if name in game.predict and seen is not None:
            heads[name] = seen

    def explain(variables: Variables, x: Array) -> dict[str, Array]:
        found = {}
        for name, seen in heads.items():
            maps = game.predict[seen](variables, x, context)
            if any(leaf.ndim != 4 for leaf in jax.tree.leaves(maps)):
                continue
            head = sampling.head_on_features(game.predict[name], variables, x, maps, context)
            score = scorer(name, head(maps))
            found[name] = sampling.grad_cam(lambda m, f=head, s=score: s(f(m)), maps)
        return found

    found = parallel.compile_function(explain)(variables, x)
    return {name: _to_unit(np.asarray(found[name])) for name in heads if name in found}


def scorer(name: str, outputs: Array):
    """What is explained of a head that says `outputs`: `outputs -> [n]`, the choice held fast."""
    if name == "detection":
        return sampling.centre_score
    if name == "segmentation":
        said = jax.nn.one_hot(outputs.argmax(axis=-1), outputs.shape[-1]).sum(axis=(1, 2))
        second = jnp.argsort(said, axis=1)[:, -2]
        return lambda logits: sampling.pixel_score(logits, second)
    likeliest = outputs.argmax(axis=1)
    return lambda logits: sampling.class_score(logits, likeliest)


def attention(
    game: Game, variables: Variables, x: Array, context: Context
) -> dict[str, np.ndarray]:
    """MTAN's masks by task and block, [n, h, w], means over channels, each row from 0 to 1."""
    asked = {k.removeprefix(ATTENTION): f for k, f in game.predict.items() if ATTENTION in k}

    def masks(variables: Variables, x: Array):
        return {name: predict(variables, x, context) for name, predict in asked.items()}

    if not asked:
        return {}
    found = parallel.compile_function(masks)(variables, x)
    return {
        f"{name} {j}": _between(np.asarray(mask).mean(axis=-1))
        for name in asked
        for j, mask in enumerate(found[name])
    }


def _to_unit(heat: np.ndarray) -> np.ndarray:
    return heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(heat.dtype).tiny)


def _between(heat: np.ndarray) -> np.ndarray:
    low, high = heat.min(), heat.max()
    return (heat - low) / np.maximum(high - low, np.finfo(heat.dtype).tiny)
