r"""The semi-supervised GAN: the K class logits are the discriminator, the fake logit is fixed at 0.

    turn   objective           trunk  heads/class  heads/rotation  gen
    disc   class                   1            1               .    .
    disc   adversarial             1            1               .    .
    disc   rotation                1            .               1    .
    gen    feature_matching        .            .               .    1
    gen    rotation (fake_weight)  .            .               .    1

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 5; further heads on
the trunk, rotation among them, are the multi-task part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.players import (
    Latents,
    Optimizers,
    Players,
    ask,
    check_players,
    features,
    generate,
    init_players,
    sampler,
    turns,
)
from gan_mtl.games.tasks import Task, class_task
from gan_mtl.losses import semi_supervised as losses_lib
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.types import (
    Aggregator,
    Array,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Weighting,
)


class Weights(NamedTuple):
    """Coefficients of the game's own rows; a row of weight 0 is left out.

    supervised: labelled images' class. adversarial: real against fake in the discriminator's turn.
    entropy: of the classes of unlabelled reals (Dai et al. 2017).
    feature_matching: distance of mean features in the generator's turn.
    generator: the non-saturating adversarial row of the generator's turn.
    conditional: the class that a conditional generator was asked for, in its turn.
    """

    supervised: Coefficient = 1.0
    adversarial: Coefficient = 1.0
    entropy: Coefficient = 0.0
    feature_matching: Coefficient = 1.0
    generator: Coefficient = 0.0
    conditional: Coefficient = 0.0


SALIMANS = Weights()


def semi_supervised(
    players: Players,
    class_head: Network,
    latents: Latents,
    optimizers: Optimizers,
    *,
    num_classes: int,
    tasks: tuple[Task, ...] = (),
    weights: Weights = SALIMANS,
    label_smoothing: float = 0.0,
    augment: Callable[[Array, Context], Array] | None = None,
    ema: Mapping[str, float] | None = None,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
) -> Game:
    """The game above. Batches hold `images`, `labelled_images` and `labelled_labels`.

    Args:
        players: `gen` and `trunk`; `disc` must be None, the class logits take its place.
        class_head: features to K logits; group `heads/class`.
        tasks: further heads on the trunk; one with a `fake_weight` is also a row of the generator's
            turn, as in `gan`.
        weights: coefficients of the rows; with `conditional` above 0 the generator takes a class.
        label_smoothing: of the supervised loss.
        augment: `(images, context) -> images`, of the labelled images.
        ema: half-lives in examples, by group: of trunk and head for testing, of `gen` for samples.
        weightings: of the discriminator's and of the generator's turn.

    Raises:
        ValueError: for players with a discriminator, a generator's turn without rows, or a task
            with a `fake_weight` whose targets an unconditional generator was not asked for.
    """
    check_players(players, num_classes)
    latents.check()
    if players.disc is not None or players.embed is not None or players.middle is not None:
        raise ValueError(
            "semi_supervised() takes the class logits as discriminator and shares no group: "
            "players.disc, embed and middle must be None."
        )
    loss = functools.partial(cross_entropy, label_smoothing=label_smoothing)
    head = class_task(class_head, loss=loss, weight=weights.supervised, augment=augment)
    plan = _Plan(
        players, head, latents, num_classes if weights.conditional else None, tasks, weights
    )
    tasks_lib.check_fake_tasks(tasks, bool(weights.conditional), "set weights.conditional")
    disc_rows, gen_rows = _rows(plan)
    if not gen_rows:
        raise ValueError("The generator's turn has no row: give feature_matching or generator.")
    everything = (head, *tasks)
    return Game(
        functools.partial(_init, plan),
        turns(
            (functools.partial(_disc_losses, plan), functools.partial(_gen_losses, plan)),
            (disc_rows, gen_rows),
            optimizers,
            weightings,
        ),
        ema=ema or {},
        **sampler(players, latents.draw, plan.num_classes)._asdict(),
        classes=plan.num_classes or 0,
        predict=tasks_lib.predictions(everything, functools.partial(features, players)),
    )


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: Players
    head: Task
    latents: Latents
    num_classes: int | None
    tasks: tuple[Task, ...]
    weights: Weights

    def make(self, variables, n, context):
        """Images and the classes that they were asked for (None if unconditional)."""
        wanted = ask(self.num_classes, n, context)
        images, variables = generate(
            self.players, self.latents, self.num_classes, variables, n, wanted, context
        )
        return images, wanted, variables

    def classify(self, variables, hidden, context):
        return variables.apply(self.head.head, self.head.group, hidden, context=context)


def _init(plan: _Plan, key, batch):
    every = (plan.head, *plan.tasks)
    tasks_lib.check_tasks(every, batch, "adversarial", "entropy", "feature_matching")
    return init_players(plan.players, plan.latents, plan.num_classes, False, every, key, batch)


def _disc_losses(plan: _Plan, variables, batch, context) -> Outcome:
    see = functools.partial(features, plan.players)
    images = batch["images"]
    fakes, _, variables = plan.make(variables, images.shape[0], context.fold("generate"))
    known = {}
    played, variables = tasks_lib.play(plan.head, see, known, variables, batch, context)
    real, variables = see(variables, images, context.fold("real"))
    known["images"] = real
    real_logits, variables = plan.classify(variables, real, context.fold("r"))
    fake, variables = see(variables, jax.lax.stop_gradient(fakes), context.fold("fake"))
    fake_logits, variables = plan.classify(variables, fake, context.fold("f"))
    against = losses_lib.real(real_logits) + losses_lib.fake(fake_logits)
    losses = {
        "class": played.loss,
        "adversarial": Loss(against),
        "entropy": Loss(losses_lib.entropy(real_logits)),
    }
    metrics = {
        "real_logits": Loss(losses_lib.real_logit(real_logits)),
        "fake_logits": Loss(losses_lib.real_logit(fake_logits)),
    }
    if played.accuracy is not None:
        metrics["class_accuracy"] = played.accuracy
    for task in plan.tasks:
        played, variables = tasks_lib.play(task, see, known, variables, batch, context)
        losses[task.name] = played.loss
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: _Plan, variables, batch, context) -> Outcome:
    see = functools.partial(features, plan.players)
    images = batch["images"]
    fakes, wanted, variables = plan.make(variables, images.shape[0], context.fold("generate"))
    real, variables = see(variables, images, context.fold("real"))
    fake, variables = see(variables, fakes, context.fold("fake"))
    logits, variables = plan.classify(variables, fake, context.fold("f"))
    matching = losses_lib.feature_matching(jax.lax.stop_gradient(real), fake, context.axis_name)
    losses = {
        "feature_matching": Loss(matching),
        "adversarial": Loss(jax.nn.softplus(-losses_lib.real_logit(logits))),
    }
    if wanted is not None:
        losses["class"] = Loss(cross_entropy(logits, wanted))
    for task in plan.tasks:
        if task.fake_weight:
            losses[task.name] = tasks_lib.fake_task(
                task, see, variables, fakes, fake, wanted, context
            )
    return Outcome(losses, variables)


def _rows(plan: _Plan) -> tuple[dict[str, Objective], dict[str, Objective]]:
    weights = plan.weights
    judged = ("trunk", plan.head.group)
    wanted = {
        "class": (judged, weights.supervised),
        "adversarial": (judged, weights.adversarial),
        "entropy": (judged, weights.entropy),
        **{t.name: (("trunk", t.group), t.weight) for t in plan.tasks},
    }
    made = {
        "feature_matching": (("gen",), weights.feature_matching),
        "adversarial": (("gen",), weights.generator),
        "class": (("gen",), weights.conditional),
        **{t.name: (("gen",), t.fake_weight) for t in plan.tasks},
    }

    def rows(table) -> dict[str, Objective]:
        kept = {name: row for name, row in table.items() if row[1] != 0.0}
        return {
            n: Objective({g: w for g in groups}, signed=n == "adversarial")
            for n, (groups, w) in kept.items()
        }

    return rows(wanted), rows(made)
