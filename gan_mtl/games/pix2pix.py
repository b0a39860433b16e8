"""pix2pix: images from label maps by a conditional adversary on patches, and L1.

    turn   objective      gen  disc
    disc   adversarial      .   0.5
    gen    adversarial      1     .
    gen    l1             100     .

and the rows of tasks (`label_to_image`). The discriminator's objective is halved, as in the paper.

Reference:
    Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
    CVPR 2017, arXiv 1611.07004.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games.label_to_image import build
from gan_mtl.games.map_players import (
    NO_WEIGHTINGS,
    Made,
    MapOptimizers,
    MapPlan,
    MapPlayers,
    Synthetic,
    Weightings,
)
from gan_mtl.games.players import Latents
from gan_mtl.games.tasks import LABELLED, Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.types import Coefficient, Context, Game, Loss, Objective, Variables


def pix2pix(
    players: MapPlayers,
    optimizers: MapOptimizers,
    num_classes: int,
    *,
    latents: Latents | None = None,
    adversarial: AdversarialLoss = non_saturating,
    l1: Coefficient = 100.0,
    labelled: bool = False,
    tasks: tuple[Task, ...] = (),
    synthetic: Synthetic | None = None,
    weightings: Weightings = NO_WEIGHTINGS,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """pix2pix, and tasks beside it.

    Args:
        players: `nets.Pix2PixGenerator` and `nets.PatchDiscriminator`, or others of their kind.
        latents: noise beside the label map; None as in the paper, where dropout is the only noise.
        adversarial: the pair of losses on the logit of a patch, without batch means; an image's
            loss is the mean over its patches.
        l1: weight of the mean absolute difference to the image that the map belongs to; 0 leaves
            it out.
        num_classes, labelled, tasks, synthetic, weightings, ema: as of `oasis`.

    Returns:
        A game as of `oasis`.

    Raises:
        ValueError: as `oasis`, and for a pair with batch means.
    """
    if adversarial.batch_statistic or adversarial.reads != "logits":
        raise ValueError(
            "pix2pix: the pair must be a function of one logit per patch; one with batch means "
            "has no meaning by patch: take losses.non_saturating, least_squares, hinge, ..."
        )
    prefix = LABELLED if labelled else ""
    plan = MapPlan(players, num_classes, latents, tasks, synthetic, prefix, conditional=True)
    making = {"adversarial": Objective({"gen": 1.0}, signed=True)}
    if l1:
        making["l1"] = Objective({"gen": l1})
    sides = (functools.partial(_disc, adversarial), functools.partial(_gen, adversarial, bool(l1)))
    rows = ({"adversarial": Objective({"disc": 0.5}, signed=True)}, making)
    return build(plan, sides, rows, optimizers, weightings, ema)


def _disc(
    pair: AdversarialLoss, plan: MapPlan, made: Made, variables: Variables, context: Context
) -> tuple[dict[str, Loss], Variables]:
    logits, variables = _logits(plan, made, variables, context)
    values = pair.disc(*(x.reshape(-1) for x in logits))
    return {"adversarial": Loss(_over_patches(values, made), made.visible)}, variables


def _gen(
    pair: AdversarialLoss,
    copies: bool,
    plan: MapPlan,
    made: Made,
    variables: Variables,
    context: Context,
) -> tuple[dict[str, Loss], Variables]:
    logits, variables = _logits(plan, made, variables, context)
    values = pair.gen(*(x.reshape(-1) for x in logits))
    losses = {"adversarial": Loss(_over_patches(values, made), made.visible)}
    if copies:
        apart = jnp.abs(made.fake - made.real).mean(axis=(1, 2, 3))
        losses["l1"] = Loss(apart, made.visible)
    return losses, variables


def _logits(plan: MapPlan, made: Made, variables: Variables, context: Context):
    """Logits of the patches of reals and fakes, [n, p, q] each, and the variables after them."""
    found = []
    for name, images in (("real", made.real), ("fake", made.fake)):
        logits, variables = plan.judge(variables, images, made.mask, context.fold(name))
        if logits.ndim != 3:
            raise ValueError(
                f"players.disc: it gives {logits.shape}; pix2pix takes a logit of every patch, "
                "shape [n, p, q], such as nets.PatchDiscriminator()."
            )
        found.append(logits)
    return found, variables


def _over_patches(values: Float[Array, " np"], made: Made) -> Float[Array, " n"]:
    return values.reshape(len(made.real), -1).mean(axis=1)
