r"""Generative adversarial networks, with or without classes, and with task heads on the trunk.

AC-GAN with a rotation head and R1 at every 16th step:

    turn   objective                      trunk  disc  heads/class  heads/rotation  gen
    disc   adversarial                        1     1            .               .    .
    disc   class                              1     .            1               .    .
    disc   class_fake (`fakes_in_disc`)       1     .            1               .    .
    disc   rotation                           1     .            .               1    .
    disc   r1 (every 16, times 16)            5     5            .               .    .
    gen    adversarial                        .     .            .               .    1
    gen    class                              .     .            .               .    1

In the generator's turn the trunk is used and not moved; a group that both players use (`shared`)
stands there in two roles, and its owner's turn moves it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax

from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.players import (
    Latents,
    Optimizers,
    Owner,
    Players,
    ask,
    check_no_batch_norm,
    check_players,
    discriminate,
    features,
    generate,
    init_players,
    sampler,
    shared_entries,
    turns,
)
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.types import (
    Aggregator,
    Array,
    Coefficient,
    Game,
    Loss,
    Objective,
    Outcome,
    Weighting,
    batch_statistic,
)

Condition = Literal["none", "projection", "auxiliary"]


class Penalty(NamedTuple):
    """A regulariser of the discriminator as a row of its turn.

    function: `(disc_fn, real, fake, context) -> [n]` with `disc_fn` from images to logits [n]; wrap
        `losses.r1` as `lambda disc_fn, real, fake, context: r1(disc_fn, real)`.
    weight: the coefficient (gamma / 2 for R1, lambda for WGAN-GP).
    every: played at every k-th step, then times k.
    """

    name: str
    function: Callable[..., Array]
    weight: Coefficient
    every: int = 1


def gan(
    players: Players,
    latents: Latents,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss = non_saturating,
    tasks: tuple[Task, ...] = (),
    condition: Condition = "none",
    num_classes: int | None = None,
    fakes_in_disc: bool = False,
    penalties: tuple[Penalty, ...] = (),
    disc_repeats: int = 1,
    owner: Owner = "disc",
    ema: Mapping[str, float] | None = None,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
) -> Game:
    """The GAN family as one table.

    Args:
        players: the networks; `disc` is needed here.
        adversarial: the pair of losses on logits; one with batch means (`relativistic_average()`)
            takes them over all devices.
        tasks: heads on the trunk (classes, rotations); a task with a `fake_weight` is also a row of
            the generator's turn.
        condition: "none"; "projection" hands labels to the discriminator (Miyato & Koyama 2018);
            "auxiliary" is AC-GAN (Odena et al. 2017): the task named `class` teaches the generator,
            by its `fake_weight` (1 in the paper).
        num_classes: of a conditional generator.
        fakes_in_disc: whether the discriminator's turn also classifies fakes as what they were
            asked for (AC-GAN's papers and codes disagree). They are a row of their own,
            `class_fake`, with the weight of `class`: the sum of the two means is the paper's
            L_C = E[log P(c | X_real)] + E[log P(c | X_fake)], however few labels are visible. (A
            weighting sees two objectives.)
        penalties: further rows of the discriminator's turn. The networks that they look through may
            hold no BatchNorm.
        disc_repeats: discriminator updates per step, each on its own slice of the batch.
        owner: whose turn moves the shared group.
        ema: half-lives in examples, by group.
        weightings: of the discriminator's and of the generator's turn.

    Returns:
        A game with `sample(variables, n, labels, context)`, and `predict` for every task,
        "features" and (unless projected) "disc".

    Raises:
        ValueError: for networks, tasks and conditions that do not go together; from `init`, for
            BatchNorm under a penalty.
    """
    plan = _Plan(
        players,
        latents,
        adversarial,
        tasks,
        num_classes if condition != "none" else None,
        condition == "projection",
        fakes_in_disc,
        penalties,
    )
    _check(plan, condition, num_classes)
    disc_rows, gen_rows = _rows(plan, owner)
    return Game(
        functools.partial(_init, plan),
        turns(
            (functools.partial(_disc_losses, plan), functools.partial(_gen_losses, plan)),
            (disc_rows, gen_rows),
            optimizers,
            weightings,
            disc_repeats,
        ),
        ema=ema or {},
        sample=sampler(players, latents, plan.num_classes),
        classes=plan.num_classes or 0,
        predict=_predictions(plan),
    )


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: Players
    latents: Latents
    adversarial: AdversarialLoss
    tasks: tuple[Task, ...]
    num_classes: int | None
    projected: bool
    fakes_in_disc: bool
    penalties: tuple[Penalty, ...]

    def make(self, variables, n, wanted, context):
        return generate(self.players, self.latents, self.num_classes, variables, n, wanted, context)

    def see(self, variables, images, context):
        return features(self.players, variables, images, context)

    def judge(self, variables, hidden, labels, context):
        return discriminate(self.players, self.projected, variables, hidden, labels, context)

    def play(self, player, real_logits, fake_logits, context):
        if not self.adversarial.batch_statistic:
            return Loss(player(real_logits, fake_logits))
        values = player(real_logits, fake_logits, axis_name=context.axis_name)
        return Loss(batch_statistic("adversarial", values))


def _init(plan: _Plan, key, batch):
    names = [penalty.name for penalty in plan.penalties]
    if plan.fakes_in_disc:
        names.append("class_fake")
    tasks_lib.check_tasks(plan.tasks, batch, "adversarial", *names)
    if plan.projected and "labels" not in batch:
        raise ValueError(
            "condition='projection' needs the labels of all images; with few labels use "
            "condition='auxiliary'."
        )
    groups = init_players(
        plan.players, plan.latents, plan.num_classes, plan.projected, plan.tasks, key, batch
    )
    names = [penalty.name for penalty in plan.penalties]
    check_no_batch_norm(names, groups, ("trunk", "shared", "disc"))
    return groups


def _disc_losses(plan: _Plan, variables, batch, context) -> Outcome:
    images = batch["images"]
    wanted: Any = ask(plan.num_classes, images.shape[0], context)
    fakes, variables = plan.make(variables, images.shape[0], wanted, context.fold("generate"))
    fakes = jax.lax.stop_gradient(fakes)
    real, variables = plan.see(variables, images, context.fold("real"))
    fake, variables = plan.see(variables, fakes, context.fold("fake"))
    labels = batch["labels"] if plan.projected else None
    real_logits, variables = plan.judge(variables, real, labels, context.fold("r"))
    fake_logits, variables = plan.judge(variables, fake, wanted, context.fold("f"))
    losses = {"adversarial": plan.play(plan.adversarial.disc, real_logits, fake_logits, context)}
    metrics = {"real_logits": Loss(real_logits), "fake_logits": Loss(fake_logits)}
    known = {"images": real}
    for task in plan.tasks:
        played, variables = tasks_lib.play(task, plan.see, known, variables, batch, context)
        losses[task.name] = played.loss
        if plan.fakes_in_disc and task.name == "class":
            tag = context.fold("fake class")
            outputs, variables = variables.apply(task.head, task.group, fake, context=tag)
            losses["class_fake"] = Loss(task.loss(outputs, wanted))
        if played.accuracy is not None:
            metrics[f"{task.name}_accuracy"] = played.accuracy
    for penalty in plan.penalties:
        tag = context.fold(penalty.name)

        def disc_fn(x, at=variables, tag=tag):
            hidden, at = plan.see(at, x, tag)
            return plan.judge(at, hidden, labels, tag)[0]

        losses[penalty.name] = Loss(penalty.function(disc_fn, images, fakes, tag))
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: _Plan, variables, batch, context) -> Outcome:
    images = batch["images"]
    wanted = ask(plan.num_classes, images.shape[0], context)
    fakes, variables = plan.make(variables, images.shape[0], wanted, context.fold("generate"))
    fake, variables = plan.see(variables, fakes, context.fold("fake"))
    fake_logits, variables = plan.judge(variables, fake, wanted, context.fold("f"))
    real, _ = plan.see(variables, images, context.fold("real"))  # dead code unless relativistic
    labels = batch["labels"] if plan.projected else None
    real_logits, _ = plan.judge(variables, real, labels, context.fold("r"))
    losses = {"adversarial": plan.play(plan.adversarial.gen, real_logits, fake_logits, context)}
    for task in plan.tasks:
        if task.fake_weight:
            loss = tasks_lib.fake_task(task, plan.see, variables, fakes, fake, wanted, context)
            losses[task.name] = Loss(loss)
    return Outcome(losses, variables)


def _rows(plan: _Plan, owner: Owner) -> tuple[dict[str, Objective], dict[str, Objective]]:
    """The table: what the objectives of both turns do to which groups."""
    shared = shared_entries(plan.players, "disc", owner)
    seen = {"trunk", *shared} if plan.players.middle is not None else {"trunk"}
    judged = {"trunk", *shared, "disc"}
    made = {"gen", *shared_entries(plan.players, "gen", owner)}
    if plan.players.gen_out is not None:
        made.add("gen/out")

    def row(entries, weight: Coefficient, every: int = 1) -> Objective:
        return Objective(dict.fromkeys(sorted(entries), weight), every)

    disc_rows = {"adversarial": row(judged, 1.0)._replace(signed=True)}
    for task in plan.tasks:
        disc_rows[task.name] = row({*seen, task.group}, task.weight)
        if plan.fakes_in_disc and task.name == "class":
            disc_rows["class_fake"] = disc_rows["class"]
    disc_rows.update({p.name: row(judged, p.weight, p.every) for p in plan.penalties})
    gen_rows = {
        "adversarial": row(made, 1.0)._replace(signed=True),
        **{t.name: row(made, t.fake_weight) for t in plan.tasks if t.fake_weight},
    }
    return disc_rows, gen_rows


def _predictions(plan: _Plan):
    predict = tasks_lib.predictions(plan.tasks, plan.see)
    if plan.projected:
        return predict

    def disc(variables, images, context):
        hidden, variables = plan.see(variables, images, context.fold("real"))
        return plan.judge(variables, hidden, None, context.fold("r"))[0]

    return {**predict, "disc": disc}


def _check(plan: _Plan, condition: str, num_classes: int | None) -> None:
    check_players(plan.players, num_classes)
    if plan.players.disc is None:
        raise ValueError("gan() needs players.disc; without one use semi_supervised().")
    if condition not in ("none", "projection", "auxiliary"):
        raise ValueError(
            f"condition={condition!r} is not one of 'none', 'projection', 'auxiliary'."
        )
    if condition != "none" and not num_classes:
        raise ValueError(f"condition={condition!r} needs num_classes.")
    if plan.players.embed is not None and condition != "projection":
        raise ValueError(
            "A shared embedding needs condition='projection', where both players use it."
        )
    classes = [task for task in plan.tasks if task.name == "class"]
    if condition == "auxiliary" and not classes:
        raise ValueError("condition='auxiliary' (AC-GAN) needs a task named 'class'.")
    if condition == "auxiliary" and not classes[0].fake_weight:
        raise ValueError(
            "condition='auxiliary' (AC-GAN): the generator takes a label, but the task 'class' has "
            f"fake_weight={classes[0].fake_weight:g}, so nothing teaches it the label: give "
            "class_task(..., fake_weight=1.0), or condition='none' for a generator without labels."
        )
    if plan.fakes_in_disc and condition != "auxiliary":
        raise ValueError("fakes_in_disc needs condition='auxiliary'.")
    tasks_lib.check_fake_tasks(plan.tasks, condition != "none", "set condition")
