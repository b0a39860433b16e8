r"""OASIS: images from label maps, judged by a segmentation network with a class "fake".

    turn   objective     gen            disc
    disc   adversarial     .               1
    disc   label_mix       .   \lambda_{LM}
    disc   unlabelled      .               u
    gen    adversarial     1               .

and the rows of tasks (`label_to_image`).

Reference:
    Schönfeld, Sushko, Zhang, Gall, Schiele, Khoreva, "You Only Need Adversarial Supervision for
    Semantic Image Synthesis", ICLR 2021, arXiv 2012.04781.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax.numpy as jnp

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
from gan_mtl.losses.label_maps import (
    class_balance,
    label_mix_consistency,
    label_mix_mask,
    oasis_disc,
    oasis_gen,
    oasis_unlabelled,
)
from gan_mtl.types import (
    Array,
    Coefficient,
    Context,
    Game,
    Loss,
    Objective,
    Variables,
    batch_statistic,
)


def oasis(
    players: MapPlayers,
    latents: Latents,
    optimizers: MapOptimizers,
    num_classes: int,
    *,
    label_mix: Coefficient = 10.0,
    unlabelled: Coefficient = 0.0,
    labelled: bool = False,
    tasks: tuple[Task, ...] = (),
    synthetic: Synthetic | None = None,
    weightings: Weightings = NO_WEIGHTINGS,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """OASIS, and tasks beside it.

    Args:
        players: `disc` has num_classes + 1 outputs at every pixel (`nets.OASISDiscriminator`).
        latents: the noise of an image, the same at all of its pixels.
        num_classes: k of the label maps, the background included; 255 is ignored, and a map of
            any other class makes losses of NaN, which stop a run.
        label_mix: weight of LabelMix's consistency; 10 is the default of the authors' code.
        unlabelled: weight of a row in which the entry `images` is "not fake", whatever its map;
            where few scenes are labelled. Ours, after Salimans et al. 2016; 0 in the paper.
        labelled: take `labelled_images` with `labelled_mask` (few labels, drawn apart); else
            `images` with `mask`, where 255 is masked.
        tasks: heads on the trunk; one with a `fake_weight` is a row of the generator's turn, judged
            against the targets that came with the label map.
        synthetic: generated pairs as training data of the tasks.
        weightings: of the turns "disc", "gen" and "tasks".
        ema: half-lives in examples, by group.

    Returns:
        A game with `sample(variables, n, labels, context)`, where labels are label maps [n, h, w]
        (None: those of the first batch, in turn), and `predict` for every task.

    Raises:
        ValueError: for players, tasks and optimizers that do not go together; from `init`, for
            networks of another size, or a batch without its entries.
    """
    prefix = LABELLED if labelled else ""
    plan = MapPlan(players, num_classes, latents, tasks, synthetic, prefix, conditional=False)
    judging = {"adversarial": Objective({"disc": 1.0})}
    if label_mix:
        judging["label_mix"] = Objective({"disc": label_mix}, penalty=True)
    if unlabelled:
        judging["unlabelled"] = Objective({"disc": unlabelled})
    sides = (functools.partial(_disc, bool(label_mix), bool(unlabelled)), _gen)
    rows = (judging, {"adversarial": Objective({"gen": 1.0})})
    needs = ("images",) if unlabelled else ()
    return build(plan, sides, rows, optimizers, weightings, ema, needs)


def _disc(
    mixes: bool, unlabelled: bool, plan: MapPlan, made: Made, variables: Variables, context: Context
) -> tuple[dict[str, Loss], Variables]:
    real, variables = _outputs(plan, variables, made.real, made.mask, context.fold("real"))
    fake, variables = _outputs(plan, variables, made.fake, made.mask, context.fold("fake"))
    balance = class_balance(made.mask, plan.num_classes, context.axis_name)
    values = oasis_disc(real, fake, made.mask, balance)
    losses = {"adversarial": Loss(batch_statistic("class_balance", values), made.visible)}
    if mixes:
        mix = label_mix_mask(made.mask, plan.num_classes, context.fold("mix"))
        mixed = jnp.where(mix[..., None], made.real, made.fake)
        found, variables = _outputs(plan, variables, mixed, made.mask, context.fold("mixed"))
        losses["label_mix"] = Loss(label_mix_consistency(found, mix, real, fake), made.visible)
    if unlabelled:
        images = made.batch["images"]
        found, variables = plan.judge(variables, images, made.mask, context.fold("unlabelled"))
        losses["unlabelled"] = Loss(oasis_unlabelled(found))
    return losses, variables


def _gen(
    plan: MapPlan, made: Made, variables: Variables, context: Context
) -> tuple[dict[str, Loss], Variables]:
    fake, variables = _outputs(plan, variables, made.fake, made.mask, context.fold("fake"))
    balance = class_balance(made.mask, plan.num_classes, context.axis_name)
    values = batch_statistic("class_balance", oasis_gen(fake, made.mask, balance))
    return {"adversarial": Loss(values, made.visible)}, variables


def _outputs(plan: MapPlan, variables: Variables, images: Array, mask: Array, context: Context):
    """Logits [n, h, w, k + 1], and the variables after them."""
    found, variables = plan.judge(variables, images, mask, context)
    wanted = (*images.shape[:3], plan.num_classes + 1)
    if found.shape != wanted:
        raise ValueError(
            f"players.disc: it gives {found.shape} for {plan.num_classes} classes; OASIS takes "
            f"{wanted}, the classes and then 'fake', such as nets.OASISDiscriminator(num_classes)."
        )
    return found, variables
