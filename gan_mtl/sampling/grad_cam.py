"""Grad-CAM: where on a map a network found what speaks for one of its outputs.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_mtl.types import TAP, Context, PyTree, Variables


def grad_cam(
    score: Callable[[PyTree], Array], maps: PyTree, level: int = -1
) -> Float[Array, "n h w"]:
    r""":math:`\mathrm{ReLU}(\sum_c \alpha_c A^c)`, where alpha_c is the mean gradient over places.

    Args:
        score: `maps -> [n]`, each from its own image alone (evaluation mode): an output before its
            softmax or sigmoid, such as `class_score` of a head.
        maps: A, shape [n, h, w, c], or a pyramid of several.
        level: which one of the pyramid; the coarsest is -1.

    Returns:
        Shape [n, h, w] of that map, at least 0: what is there speaks for the output. Zero
        everywhere where nothing does, or the output does not look at this map.

    Raises:
        ValueError: for features without places, a score of another shape.
    """
    leaves = jax.tree.leaves(maps)
    if not -len(leaves) <= level < len(leaves):
        raise ValueError(f"level={level}, but there are {len(leaves)} maps.")
    chosen = leaves[level]
    if chosen.ndim != 4:
        raise ValueError(
            f"maps: features of shape {chosen.shape} have no places to show; Grad-CAM takes maps "
            "[n, h, w, c], before they are flattened or averaged."
        )

    def total(maps: PyTree) -> Array:
        values = score(maps)
        if values.shape != chosen.shape[:1]:
            raise ValueError(f"score: expected shape ({len(chosen)},), got {values.shape}.")
        return values.sum()

    gradient = jax.tree.leaves(jax.grad(total)(maps))[level]
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return jax.nn.relu((weights * chosen).sum(axis=-1))


def head_on_features(
    predict: Callable[[Variables, Array, Context], Any],
    variables: Variables,
    images: Array,
    features: PyTree,
    context: Context,
) -> Callable[[PyTree], Any]:
    """A head as a function of the features that it looks at, `features -> outputs`.

    Args:
        predict: of a game with task heads, `game.predict["class"]` say; it goes through
            `Variables.tap`.
        features: what the game predicts as "features" (or "features/<task>") of these images.
    """

    def head(shown: PyTree) -> Any:
        moved = jax.tree.map(jnp.subtract, shown, features)
        return predict(variables._replace(params={**variables.params, TAP: moved}), images, context)

    return head


def class_score(logits: Float[Array, "n k"], classes: Int[Array, " n"]) -> Float[Array, " n"]:
    """Each image's logit of a class."""
    return jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def centre_score(outputs: Float[Array, "n h w k+4"]) -> Float[Array, " n"]:
    """Each image's logit of the surest centre, of any class, in the outputs of `CentreHead`."""
    return outputs[..., :-4].reshape(len(outputs), -1).max(axis=1)


def pixel_score(logits: Float[Array, "n h w k"], classes: Int[Array, " n"]) -> Float[Array, " n"]:
    """Each image's sum of a class's logits over the pixels that are said to be of this class.

    Vinogradova, Dibrov & Myers, "Towards Interpretable Semantic Segmentation via Gradient-weighted
    Class Activation Mapping", AAAI 2020. Zero where there is no such pixel.
    """
    said = logits.argmax(axis=-1) == classes[:, None, None]
    of_class = jnp.take_along_axis(logits, classes[:, None, None, None], axis=-1)[..., 0]
    return jnp.where(said, of_class, 0.0).sum(axis=(1, 2))
