"""Repair of images: a network that mends what a corruption has damaged.

    turn   objective       gen  trunk  disc  class
    disc   adversarial       .      1     1      .
    disc   class             .      1     .      1
    gen    reconstruction    1      .     .      .
    gen    adversarial       a      .     .      .
    gen    class             c      .     .      .

Without a and c there is the row `reconstruction` alone. The generator sees the damaged image and
where the hole is; what it says counts in the hole only, and the discriminator judges the joined
image (known pixels as they are), not the raw output. `class` asks whether the joined image is still
of its class, of a head that learns classes from whole images.

Reference:
    Pathak, Krahenbuhl, Donahue, Darrell & Efros, "Context Encoders: Feature Learning by
    Inpainting", CVPR 2016, arXiv 1604.07379 (reconstruction beside an adversary).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games.corruptions import Corruption, Damaged, Images
from gan_mtl.games.players import Optimizers
from gan_mtl.games.restoring import predictions
from gan_mtl.games.tasks import Task, check_tasks, judge
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.types import (
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Turn,
    Variables,
    starting,
)


class RepairPlayers(NamedTuple):
    """The networks; which group each is in has the same name.

    gen: `(images [n, h, w, c], hole [n, h, w, 1])` to images, such as `nets.DenseRepairer`.
    trunk: images to features; None without an adversary and classes.
    disc: features to logits [n]; None without an adversary.
    classes: features to class logits, in the group `class`; None without the row.
    """

    gen: Network
    trunk: Network | None = None
    disc: Network | None = None
    classes: Network | None = None


class Plan(NamedTuple):
    """What the functions of both turns have in common; see `repair`."""

    players: RepairPlayers
    corruption: Corruption
    loss: Literal["l2", "l1"]
    pair: AdversarialLoss

    @property
    def task(self) -> Task | None:
        """The classification, where there is one."""
        head = self.players.classes
        return None if head is None else Task("class", head)

    def mend(self, variables: Variables, damaged: Damaged, context: Context):
        """The joined images, and the variables after them."""
        made, variables = variables.apply(
            self.players.gen, "gen", damaged.images, damaged.hole, context=context.fold("gen")
        )
        if made.shape != damaged.images.shape:
            raise ValueError(
                f"players.gen: it makes {made.shape[1:]} of images {damaged.images.shape[1:]}: "
                "give it the data's size and channels."
            )
        return damaged.joined(made), variables

    def judge(
        self, variables: Variables, images: Images, context: Context
    ) -> tuple[Any, Any, Variables]:
        """Logits of "real", class logits (each None without its network), and the variables."""
        assert self.players.trunk is not None
        hidden, variables = variables.apply(
            self.players.trunk, "trunk", images, context=context.fold("trunk")
        )
        found = []
        for entry, network in (("disc", self.players.disc), ("class", self.players.classes)):
            outputs = None
            if network is not None:
                outputs, variables = variables.apply(
                    network, entry, hidden, context=context.fold(entry)
                )
            found.append(outputs)
        return found[0], found[1], variables


def repair(
    players: RepairPlayers,
    optimizers: Optimizers,
    corruption: Corruption,
    *,
    loss: Literal["l2", "l1"] = "l2",
    adversarial: Coefficient = 1e-3,
    classes: Coefficient = 1e-3,
    pair: AdversarialLoss = non_saturating,
    tests: Mapping[str, Corruption] | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """A game that learns to repair images in [0, 1].

    Args:
        players: which of them there are says which rows there are.
        optimizers: of the generator; that of the discriminator's turn may be any without one.
        corruption: what training images are damaged by, anew in every turn; `corruptions.one_of`
            for several.
        loss: the mean squared or absolute error of the hole's pixels.
        adversarial, classes: coefficients of the rows in the generator, where they are.
        pair: of losses on one logit an image.
        tests: corruptions that `predict` shows, by name; None is the one of training, as "test".
        ema: half-lives in examples, by group.

    Returns:
        A game that samples nothing, with `predict` for whole images x and every name:
        "NAME/damaged" and "NAME/hole", x under the corruption by the context's draws, and
        "NAME/repaired"; with classes also for "class", logits of x.

    Raises:
        ValueError: for players without a meaning, or a pair with batch means; from `init`, for
            networks of other shapes, or a batch without labels where classes are asked for.
    """
    _check(players, loss, pair)
    plan = Plan(players, corruption, loss, pair)
    judged: dict[str, Objective] = {}
    made = {"reconstruction": Objective({"gen": 1.0})}
    if players.disc is not None:
        judged["adversarial"] = Objective({"trunk": 1.0, "disc": 1.0}, signed=True)
        made["adversarial"] = Objective({"gen": adversarial}, signed=True)
    if players.classes is not None:
        judged["class"] = Objective({"trunk": 1.0, "class": 1.0})
        made["class"] = Objective({"gen": classes})
    gen = Turn("gen", functools.partial(_gen_losses, plan), made, optimizers.gen)
    disc = Turn("disc", functools.partial(_disc_losses, plan), judged, optimizers.disc)
    mend = functools.partial(_mended, plan)
    predict = predictions(mend, {"test": corruption} if tests is None else tests)
    if players.classes is not None:
        predict["class"] = functools.partial(_classes, plan)
    turns = (disc, gen) if judged else (gen,)
    return Game(functools.partial(_init, plan), turns, ema=ema or {}, predict=predict)


def _check(players: RepairPlayers, loss: str, pair: AdversarialLoss) -> None:
    judges = players.disc is not None or players.classes is not None
    if judges != (players.trunk is not None):
        raise ValueError(
            "repair: players.trunk is what disc and classes look through: give it with one of them "
            "or both, and leave it out without."
        )
    if loss not in ("l2", "l1"):
        raise ValueError(f"repair: loss={loss!r} is not 'l2' or 'l1'.")
    if pair.batch_statistic or pair.reads != "logits":
        raise ValueError(
            "repair: the pair must be a function of one logit an image, without batch means: take "
            "losses.non_saturating, least_squares, hinge, ..."
        )


def _init(plan: Plan, key: jax.Array, batch: Batch):
    keys = jax.random.split(key, 5)
    images, players = batch["images"], plan.players
    context = Context(keys[4], jnp.zeros((), jnp.int32))
    if plan.task is not None:
        check_tasks((plan.task,), batch)
    damaged = plan.corruption(images, context)
    groups = {"gen": players.gen.init(keys[0], damaged.images, damaged.hole)}
    plan.mend(starting(groups), damaged, context)
    if players.trunk is None:
        return groups
    groups["trunk"] = players.trunk.init(keys[1], images)
    hidden, _ = starting(groups).apply(players.trunk, "trunk", images, context=context)
    for name, network, own in (("disc", players.disc, 2), ("class", players.classes, 3)):
        if network is not None:
            groups[name] = network.init(keys[own], hidden)
    return groups


def _repaired(plan: Plan, variables: Variables, images: Images, context: Context):
    """The damaged images, what they were mended to, and the variables after."""
    damaged = plan.corruption(images, context.fold("corruption"))
    repaired, variables = plan.mend(variables, damaged, context)
    return damaged, repaired, variables


def _disc_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = batch["images"]
    found: dict[str, Loss] = {}
    metrics: dict[str, Loss] = {}
    real, classes, variables = plan.judge(variables, images, context.fold("real"))
    if plan.task is not None:
        played = judge(plan.task, classes, batch["labels"])
        found["class"] = played.loss
        metrics |= {} if played.accuracy is None else {"accuracy": played.accuracy}
    if real is not None:
        _, fakes, variables = _repaired(plan, variables, images, context)
        fakes = jax.lax.stop_gradient(fakes)
        fake, _, variables = plan.judge(variables, fakes, context.fold("fake"))
        found["adversarial"] = Loss(plan.pair.disc(real, fake))
        metrics |= {"real_logits": Loss(real), "fake_logits": Loss(fake)}
    return Outcome(found, variables, metrics)


def _gen_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images, players = batch["images"], plan.players
    damaged, fakes, variables = _repaired(plan, variables, images, context)
    found = {"reconstruction": Loss(_error(plan.loss, fakes, images, damaged.hole))}
    if players.trunk is None:
        return Outcome(found, variables)
    fake, classes, variables = plan.judge(variables, fakes, context.fold("fake"))
    if players.disc is not None:
        real, _, variables = plan.judge(variables, images, context.fold("real"))
        found["adversarial"] = Loss(plan.pair.gen(real, fake))
    if plan.task is not None:
        found["class"] = judge(plan.task, classes, batch["labels"]).loss
    return Outcome(found, variables)


def _error(loss: str, made: Images, images: Images, hole: Array) -> Float[Array, " n"]:
    """The mean over the hole's pixels; 0 where there is no hole."""
    apart = made - images
    values = (jnp.square(apart) if loss == "l2" else jnp.abs(apart)).mean(axis=3, keepdims=True)
    axes = (1, 2, 3)
    return (values * hole).sum(axis=axes) / jnp.maximum(hole.sum(axis=axes), 1.0)


def _mended(plan: Plan, variables: Variables, damaged: Damaged, context: Context) -> Images:
    return plan.mend(variables, damaged, context)[0]


def _classes(plan: Plan, variables: Variables, images: Images, context: Context):
    return plan.judge(variables, images, context)[1]
