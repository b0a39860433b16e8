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
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl.games import gan_turns, scenes
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.gan_checks import check_game, check_outputs
from gan_mtl.games.gan_turns import (
    ADVERSARIAL,
    AUGMENT,
    Plan,
    disc_losses,
    draw_latents,
    gen_losses,
)
from gan_mtl.games.players import (
    Latents,
    Optimizers,
    Owner,
    Players,
    alternating_rows,
    check_no_batch_norm,
    init_players,
    sampler,
    shared_entries,
    turns,
)
from gan_mtl.games.scenes import (
    Augment,
    Contrast,
    Controlled,
    Information,
    Penalty,
    Row,
    Unroll,
)
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.types import MEMORY, Aggregator, Array, Context, Game, Weighting, starting

Condition = Literal["none", "projection", "auxiliary", "contrastive", "multi_hinge"]


class Extras(NamedTuple):
    """What a GAN may have beyond its losses, tasks and penalties; see `games.scenes`.

    disc_rows, gen_rows: further rows of the two turns (LeCam, consistency, path length, ...).
    augment: of everything that the discriminator judges, in both turns, image by image; tasks see
        images, generated ones too, as they are, and augment for themselves.
    pack: examples that the discriminator judges together (PacGAN); the trunk takes their channels
        side by side.
    top_k: `(fake_logits [n], context) -> mask [n]`: which fakes teach the generator.
    move_latents: `(value, z) -> z`: latents moved before use, with `value` from latents to logits
        (LOGAN); in both turns, with the gradient through the move. Codes stay. Give
        `losses.optimise_latents` the latents' range: its own is that of uniform ones.
    unroll: how many discriminator steps the generator looks ahead (Metz et al. 2017).
    information: of codes in the last latents (InfoGAN).
    contrast: the embedding of `condition="contrastive"`.
    """

    disc_rows: tuple[Row, ...] = ()
    gen_rows: tuple[Row, ...] = ()
    augment: Augment | None = None
    pack: int = 1
    top_k: Callable[[Array, Context], Array] | None = None
    move_latents: Callable[..., Array] | None = None
    unroll: Unroll | None = None
    information: Information | None = None
    contrast: Contrast | None = None


PLAIN = Extras()


def gan(
    players: Players,
    latents: Latents,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss | Controlled = non_saturating,
    tasks: tuple[Task, ...] = (),
    condition: Condition = "none",
    num_classes: int | None = None,
    fakes_in_disc: bool = False,
    penalties: tuple[Penalty, ...] = (),
    extras: Extras = PLAIN,
    disc_repeats: int = 1,
    owner: Owner = "disc",
    ema: Mapping[str, float] | None = None,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
) -> Game:
    """The GAN family as one table.

    Args:
        players: the networks; without `disc` the trunk ends in the logits [n] (an energy).
        adversarial: the pair of losses on logits; one with batch means (`relativistic_average()`)
            takes them over all devices; a `Controlled` one remembers (`gan_rows.energy_control()`);
            `losses.per_pixel(pair)` takes a discriminator that judges pixels too.
        tasks: heads on the trunk (classes, rotations); a task with a `fake_weight` is also a row of
            the generator's turn.
        condition: "none"; "projection" hands labels to the discriminator (Miyato & Koyama 2018);
            "auxiliary" is AC-GAN (Odena et al. 2017): the task named `class` teaches the generator,
            by its `fake_weight` (1 in the paper); "contrastive" is `extras.contrast`;
            "multi_hinge" has `disc` give K + 1 outputs, "fake" last, in place of a logit
            (Kavalerov et al. 2021), and plays the multi-class hinge whatever `adversarial` is.
        num_classes: of a conditional generator.
        fakes_in_disc: whether the discriminator's turn also classifies fakes as what they were
            asked for (AC-GAN's papers and codes disagree). They are a row of their own,
            `class_fake`, with the weight of `class`: the sum of the two means is the paper's
            L_C = E[log P(c | X_real)] + E[log P(c | X_fake)], however few labels are visible. (A
            weighting sees two objectives.)
        penalties: further rows of the discriminator's turn. The networks that they look through may
            hold no BatchNorm.
        extras: rows, augmentation, packing and further ways to train.
        disc_repeats: discriminator updates per step, each on its own slice of the batch.
        owner: whose turn moves the shared group: "disc", "gen", "both", or "alternating", each for
            100 steps, the discriminator first.
        ema: half-lives in examples, by group.
        weightings: of the discriminator's and of the generator's turn.

    Returns:
        A game with `sample(variables, n, labels, context)`, and `predict` for every task,
        "features" and (unless projected) "disc"; nothing of these with packing.

    Raises:
        ValueError: for networks, tasks and conditions that do not go together; from `init`, for
            BatchNorm under a penalty.
    """
    plan = Plan(
        players,
        latents,
        adversarial,
        tasks,
        num_classes if condition != "none" else None,
        condition == "projection",
        condition == "multi_hinge",
        fakes_in_disc,
        **{
            **extras._asdict(),
            "disc_rows": (*extras.disc_rows, *map(_as_row, penalties)),
        },
    )
    check_game(plan, condition, num_classes)
    disc_rows, gen_rows = _tables(plan, owner)
    return Game(
        functools.partial(_init, plan, tuple(penalty.name for penalty in penalties)),
        turns(
            (functools.partial(disc_losses, plan), functools.partial(gen_losses, plan)),
            (disc_rows, gen_rows),
            optimizers,
            weightings,
            disc_repeats,
        ),
        ema=ema or {},
        **sampler(players, functools.partial(draw_latents, plan), plan.num_classes)._asdict(),
        classes=plan.num_classes or 0,
        codes=() if plan.information is None else plan.information.code.sizes,
        predict=_predictions(plan),
    )


def _as_row(penalty: Penalty) -> Row:
    if not isinstance(penalty, Penalty):
        raise TypeError(
            f"penalties: {penalty!r} is not a Penalty; give a tuple of them, such as "
            "(gan_rows.r1(10.0),), and further rows as extras."
        )

    def function(scene, context):
        disc = scene.disc if penalty.of == "real" else scene.disc_fake
        return penalty.function(disc, scene.real, scene.fake, context)

    return Row(penalty.name, function, penalty.weight, penalty.every)


def _init(plan: Plan, penalties: tuple[str, ...], key, batch):
    tasks_lib.check_tasks(plan.tasks, batch)
    asks = {"projection": plan.projected, "multi_hinge": plan.multi_hinge}
    asks["contrastive"] = plan.contrast is not None
    needs = [condition for condition, asked in asks.items() if asked]
    if needs and "labels" not in batch:
        raise ValueError(
            f"condition={needs[0]!r} needs the labels of all images; with few labels use "
            "condition='auxiliary'."
        )
    pack = functools.partial(scenes.pack, size=plan.pack)
    groups = init_players(
        plan.players, plan.latents, plan.num_classes, plan.projected, plan.tasks, key, batch, pack
    )
    check_outputs(plan, _outputs(plan, groups, batch).shape)
    groups |= _init_heads(plan, groups, jax.random.fold_in(key, 1), batch)
    check_no_batch_norm(penalties, groups, ("trunk", "shared", "disc"))
    for group, rows in (("trunk", plan.disc_rows), ("gen", plan.gen_rows)):
        kept = {MEMORY + row.name: row.memory for row in rows if row.memory is not None}
        if group == "trunk" and plan.augment is not None and plan.augment.memory is not None:
            kept[MEMORY + AUGMENT] = plan.augment.memory
        if group == "trunk" and isinstance(plan.adversarial, Controlled):
            kept[MEMORY + ADVERSARIAL] = plan.adversarial.memory
        groups[group] = groups[group] | {name: _arrays(start()) for name, start in kept.items()}
    return groups


def _arrays(memory):
    """With dtypes of their own, so that nothing is compiled anew when they are written."""
    return jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.asarray(x).dtype), memory)


def _outputs(plan: Plan, groups, batch):
    """Shapes of what the trunk makes of the images, and of what the discriminator says of it."""
    context = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
    shown = scenes.pack(batch["images"], plan.pack)

    def look(groups):
        hidden, variables = plan.see(starting(groups), shown, context)
        labels = jnp.zeros(len(shown), jnp.int32) if plan.projected else None
        return plan.judge(variables, hidden, labels, context)[0]

    return jax.eval_shape(look, groups)


def _init_heads(plan: Plan, groups, key, batch):
    """The heads of extras, from the trunk's features."""
    if plan.information is None and plan.contrast is None:
        return {}
    context = Context(key, jnp.zeros((), jnp.int32))
    hidden, _ = plan.see(starting(groups), batch["images"], context)
    found = {}
    if plan.information is not None:
        found["heads/code"] = plan.information.head.init(key, hidden)
    if plan.contrast is not None:
        found["heads/contrast"] = plan.contrast.head.init(key, hidden, batch["labels"])
    return found


def _tables(plan: Plan, owner: Owner):
    """The table: what the objectives of both turns do to which groups."""
    shared = shared_entries(plan.players, "disc", owner)
    seen = {"trunk", *shared} if plan.players.middle is not None else {"trunk"}
    judged = {"trunk", *shared} | ({"disc"} if plan.players.disc is not None else set())
    made = {"gen", *shared_entries(plan.players, "gen", owner)}
    if plan.players.gen_out is not None:
        made.add("gen/out")
    disc, gen = gan_turns.disc_table(plan, judged, seen), gan_turns.gen_table(plan, made)
    if owner == "alternating":
        return alternating_rows(disc, "disc"), alternating_rows(gen, "gen")
    return disc, gen


def _predictions(plan: Plan):
    if plan.pack > 1:  # of one image nothing is known
        return {}
    predict = tasks_lib.predictions(plan.tasks, plan.see)
    if plan.projected:
        return predict

    def disc(variables, images, context):
        hidden, variables = plan.see(variables, images, context.fold("real"))
        return plan.reality(plan.judge(variables, hidden, None, context.fold("r"))[0])

    return {**predict, "disc": disc}
