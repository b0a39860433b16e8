r"""Segmentation against a discriminator of label maps, with any further tasks beside it.

    turn   objective       trunk  heads/segmentation  heads/reconstruction  disc
    disc   adversarial         .                   .                     .     1
    model  segmentation        1                   1                     .     .
    model  reconstruction      1                   .                     1     .
    model  adversarial    lambda              lambda                     .     .

The discriminator sees an image and a map of it, the true one or the predicted softmax. The default
is Luc et al.: its logistic loss, and for the segmenter cross-entropy and :math:`\lambda` times the
loss of a predicted map taken for true (their form without saturation). With
`losses.multi_scale_l1` it is SegAN's critic.

Pixels without a label are zeros in both maps, so that they give neither away. Images without any
label have no true map: they are left out of the discriminator's turn, while the segmenter's
adversarial row plays them with the whole predicted map (as Hung et al., "Adversarial Learning for
Semi-Supervised Semantic Segmentation", BMVC 2018), unless the loss compares both maps.

Luc, Couprie, Chintala & Verbeek, "Semantic Segmentation using Adversarial Networks", NIPS workshop
2016, arXiv 1611.08408; Xue et al., "SegAN", Neuroinformatics 2018, arXiv 1706.01805.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.architectures import Architecture, hard_sharing
from gan_mtl.games.multitask import losses_and_outputs, multitask
from gan_mtl.games.players import Optimizers
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.losses.segmentation import IGNORE, checked_mask, one_hot_map, scaled_map
from gan_mtl.types import (
    EXACT,
    Aggregator,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Rows,
    Turn,
    Variables,
    Weighting,
    starting,
)

ADVERSARIAL = "adversarial"


def segmentation_adversary(
    trunk: Network | Architecture,
    tasks: tuple[Task, ...],
    disc: Network,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss = non_saturating,
    weight: Coefficient = 1.0,
    judged: str = "segmentation",
    tau: float = 1.0,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
    rows: Rows = EXACT,
    disc_repeats: int = 1,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        trunk, tasks: as of `multitask`; one task is the judged one.
        disc: group `disc`, `(images, maps [n, h, w, k])` to logits [n], or to a tuple of features
            where the loss reads these: `nets.MapDiscriminator`.
        optimizers: `gen` of the model's turn, `disc` of the discriminator's.
        adversarial: one logit per example, without batch means; or `losses.multi_scale_l1`.
        weight: lambda, of the model's adversarial row.
        judged: the name of the segmentation task, `games.segmentation_task(...)`.
        tau: the true class's least mass in true maps, see `losses.scaled_map`; 1 is one-hot.
        weightings: of the discriminator's and of the model's turn.
        rows: of the model's turn, as of `multitask`.
        disc_repeats: runs of the discriminator's turn, each on its own slice of the batch.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts what `multitask` does.

    Raises:
        ValueError: for a judged task that is none or does not look at the images as they are, a
            loss or a tau that does not go; at `init` for a discriminator that says something else
            than its loss reads.
    """
    task = _judged(tasks, judged)
    _check(adversarial, tau)
    names = tuple(t.name for t in tasks_lib.owning(tasks))
    architecture = hard_sharing(names, trunk) if isinstance(trunk, Network) else trunk
    base = multitask(
        architecture, tasks, optimizers.gen, weighting=weightings[1], rows=rows, ema=ema
    )
    plan = _Plan(architecture, tasks, task, disc, adversarial, tau, _compares(adversarial))
    turn = base.turns[0]
    if ADVERSARIAL in turn.objectives:
        raise ValueError(f"The name {ADVERSARIAL!r} is the discriminator's row: rename the task.")
    row = Objective(dict.fromkeys((*architecture.groups(judged), task.group), weight), signed=True)
    return base._replace(
        init=functools.partial(_init, plan, base),
        turns=(
            Turn(
                "disc",
                functools.partial(_disc_losses, plan),
                {ADVERSARIAL: Objective({"disc": 1.0}, signed=True)},
                optimizers.disc,
                weightings[0],
                disc_repeats,
            ),
            turn._replace(
                losses=functools.partial(_model_losses, plan),
                objectives={**turn.objectives, ADVERSARIAL: row},
            ),
        ),
    )


class _Plan(NamedTuple):
    """What the functions of both turns have in common.

    compares: whether the segmenter's loss needs the true map too.
    """

    architecture: Architecture
    tasks: tuple[Task, ...]
    task: Task
    disc: Network
    adversarial: AdversarialLoss
    tau: float
    compares: bool

    def segment(self, variables: Variables, batch: Batch, context: Context):
        """Logits [n, h, w, k] of the judged task."""
        task, tag = self.task, context.fold("trunk")
        seen, variables = self.architecture.apply(variables, batch[task.source], (task.name,), tag)
        return variables.apply(
            task.head, task.group, seen.features[task.name], context=context.fold(task.name)
        )

    def mask(self, batch: Batch) -> Int[Array, "n h w"]:
        """The judged task's targets."""
        assert self.task.targets is not None  # `_judged`
        return batch[self.task.targets]

    def judge(self, variables: Variables, batch: Batch, maps: Maps, context: Context):
        """What the discriminator says of the true and of the predicted maps."""
        found = []
        for name, shown in (("real", maps.real), ("fake", maps.fake)):
            outputs, variables = variables.apply(
                self.disc, "disc", batch[self.task.source], shown, context=context.fold(name)
            )
            found.append(outputs)
        return tuple(found), variables


class Maps(NamedTuple):
    """True and predicted label maps, ignored pixels blanked, and which images have a true one."""

    real: Float[Array, "n h w k"]
    fake: Float[Array, "n h w k"]
    labelled: Bool[Array, " n"]


def label_maps(
    logits: Float[Array, "n h w k"], mask: Int[Array, "n h w"], tau: float = 1.0
) -> Maps:
    """What a discriminator of maps is shown.

    Args:
        logits: of the segmenter.
        mask: classes 0 .. k - 1, or 255 where a pixel is ignored: zeros in both maps there, but of
            an image that is ignored all over, whose predicted map stays whole.
        tau: as of `losses.scaled_map`.
    """
    mask = checked_mask(logits, mask)
    predicted = jax.nn.softmax(logits)
    seen = mask != IGNORE
    labelled = seen.any(axis=(1, 2))
    shown = seen | ~labelled[:, None, None]
    if tau < 1:
        real = scaled_map(predicted, mask, tau)
    else:
        real = one_hot_map(mask, logits.shape[-1]).astype(predicted.dtype)
    return Maps(real, predicted * shown[..., None], labelled)


def _init(plan: _Plan, base: Game, key, batch: Batch) -> dict[str, dict[str, Any]]:
    key_base, key_disc, key_pass = jax.random.split(key, 3)
    groups = base.init(key_base, batch)
    context = Context(key_pass, jnp.zeros((), jnp.int32))
    logits, _ = plan.segment(starting(groups), batch, context)
    maps = label_maps(logits, plan.mask(batch))
    images = batch[plan.task.source]
    groups = {**groups, "disc": plan.disc.init(key_disc, images, maps.fake)}
    outputs, _ = plan.disc.apply(groups["disc"], images, maps.fake, context=context)
    _check_outputs(plan.adversarial, outputs, images.shape[0])
    return groups


def _disc_losses(plan: _Plan, variables, batch, context) -> Outcome:
    logits, variables = plan.segment(variables, batch, context)
    maps = label_maps(jax.lax.stop_gradient(logits), plan.mask(batch), plan.tau)
    outputs, variables = plan.judge(variables, batch, maps, context)
    values = plan.adversarial.disc(*outputs)
    counted = maps.labelled.astype(values.dtype)
    metrics = {}
    if plan.adversarial.reads == "logits":
        names = ("real_logits", "fake_logits")
        metrics = {n: Loss(x, counted) for n, x in zip(names, outputs, strict=True)}
    return Outcome({ADVERSARIAL: Loss(values, counted)}, variables, metrics)


def _model_losses(plan: _Plan, variables, batch, context) -> Outcome:
    outcome, outputs = losses_and_outputs(plan.architecture, plan.tasks, variables, batch, context)
    maps = label_maps(outputs[plan.task.name], plan.mask(batch), plan.tau)
    said, variables = plan.judge(outcome.variables, batch, maps, context)
    values = plan.adversarial.gen(*said)
    counted = maps.labelled.astype(values.dtype) if plan.compares else None
    losses = {**outcome.losses, ADVERSARIAL: Loss(values, counted)}
    return outcome._replace(losses=losses, variables=variables)


def _compares(adversarial: AdversarialLoss) -> bool:
    """Whether the segmenter's side looks at what the discriminator says of true maps."""
    if adversarial.reads == "features":
        return True
    zero = jnp.zeros(1)
    return bool((adversarial.gen(zero, zero) != adversarial.gen(zero + 1, zero)).any())


def _judged(tasks: tuple[Task, ...], judged: str) -> Task:
    """The task of this name; raises ValueError where a discriminator cannot look at it."""
    found = [task for task in tasks if task.name == judged]
    if not found:
        raise ValueError(
            f"judged={judged!r} is not among the tasks {[task.name for task in tasks]}: give a "
            "games.segmentation_task(...), or the name of another one with logits of pixels."
        )
    task = found[0]
    if tasks_lib.changes(task) or task.asks is not None or task.targets is None:
        raise ValueError(
            f"Task {judged!r} is judged beside its images, so it needs a head and targets of its "
            "own, and no augment or transform: change images and masks together, by "
            "games.augmented()."
        )
    return task


def _check(adversarial: AdversarialLoss, tau: float) -> None:
    if adversarial.batch_statistic or adversarial.reads not in ("logits", "features"):
        raise ValueError(
            "adversarial: expected a loss of one logit per image without batch means, such as "
            "losses.non_saturating or losses.hinge, or losses.multi_scale_l1; got one that reads "
            f"{adversarial.reads!r}, batch_statistic={adversarial.batch_statistic}."
        )
    if not 0 < tau <= 1:
        raise ValueError(f"tau={tau}: it is the true class's least mass, in (0, 1]; 1 is one-hot.")


def _check_outputs(adversarial: AdversarialLoss, outputs: Any, n: int) -> None:
    """Raises ValueError for a discriminator that says something else than its loss reads."""
    if adversarial.reads == "features":
        if isinstance(outputs, tuple):
            return
        wanted = "a tuple of features, as nets.MapDiscriminator(outputs='features')"
    else:
        if getattr(outputs, "shape", None) == (n,):
            return
        wanted = f"one logit an image, shape ({n},), as nets.MapDiscriminator()"
    said = f"shape {outputs.shape}" if hasattr(outputs, "shape") else f"a {type(outputs).__name__}"
    raise ValueError(f"disc: it gives {said}, and the loss takes {wanted}.")
