r"""PixelDA: a generator repaints the source's images until they pass for the target's.

    turn   objective     disc  trunk  heads/class    gen
    disc   adversarial  alpha      .            .      .
    disc   class            .   beta         beta      .
    disc   class_fake       .   beta         beta      .
    gen    adversarial      .      .            .  alpha
    gen    class_fake       .      .            .   beta
    gen    content          .      .            .  gamma

.. math:: \min_{G, T} \max_D \alpha L_d(D, G) + \beta L_t(G, T) + \gamma L_c(G)

(equations 2 and 4), with :math:`x_f = G(x_s, z)`. The task network T learns from the source's
images as they are (`class`) and repainted (`class_fake`), with the source's labels; without the
former it may exchange classes with the generator. `content` is the pairwise mean squared error of
foreground pixels, :math:`\tfrac1k \lVert d \rVert^2 - \tfrac1{k^2} (\sum_j d_j)^2` of
:math:`d = (x_s - x_f) \circ m` (equation 5).

Bousmalis, Silberman, Dohan, Erhan, Krishnan, "Unsupervised Pixel-Level Domain Adaptation with
Generative Adversarial Networks", CVPR 2017, arXiv 1612.05424.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl.games import coupled
from gan_mtl.games import domains as domains_lib
from gan_mtl.games import tasks as tasks_lib
from gan_mtl.games.domains import Domains
from gan_mtl.games.players import Latents, Optimizers, turns
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.losses.dsn import scale_invariant_mse
from gan_mtl.types import (
    Array,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Outcome,
    Variables,
    starting,
)

ADVERSARIAL, CONTENT = "adversarial", "content"


class PixeldaPlayers(NamedTuple):
    """The networks; which group each is in stands in brackets.

    gen: (`gen`) images of the source, before them latents where the game has any, to images.
    disc: (`disc`) images to logits [n].
    trunk: (`trunk`) images to features, of the task network.
    head: (`heads/<name>`) features to class logits.
    """

    gen: Network
    disc: Network
    trunk: Network
    head: Network


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: PixeldaPlayers
    task: Task
    latents: Latents | None
    adversarial: AdversarialLoss
    domains: Domains
    content: bool
    foreground: Callable[[Array], Array] | None

    @property
    def fake(self) -> str:
        return f"{self.task.name}_fake"

    def paint(self, variables: Variables, images: Array, context: Context):
        """Images of the source, repainted, and the variables after."""
        tag = context.fold("gen")
        return variables.apply(self.players.gen, "gen", *self.inputs(images, context), context=tag)

    def inputs(self, images: Array, context: Context) -> tuple[Array, ...]:
        """What the generator takes: latents, if any, and images."""
        if self.latents is None:
            return (images,)
        z = self.latents.draw(images.shape[0], context.fold("latents"))
        return z.astype(images.dtype), images

    def judge(self, variables: Variables, real: Array, fake: Array, context: Context):
        """Logits of the target's and of the repainted images, and the variables after."""
        found = []
        for name, images in (("real", real), ("fake", fake)):
            tag = context.fold("disc").fold(name)
            logits, variables = variables.apply(self.players.disc, "disc", images, context=tag)
            found.append(logits)
        return (found[0], found[1]), variables

    def ask(self, variables: Variables, images: Array, batch: Batch, context: Context):
        """The task network on images that have the source's labels, and the variables after."""
        tag = context.fold("trunk")
        hidden, variables = variables.apply(self.players.trunk, "trunk", images, context=tag)
        tag = context.fold(self.task.name)
        logits, variables = variables.apply(self.task.head, self.task.group, hidden, context=tag)
        return tasks_lib.judge(self.task, logits, batch[self.domains.labels[0]]), variables


def pixelda(
    players: PixeldaPlayers,
    latents: Latents | None,
    optimizers: Optimizers,
    *,
    domains: Domains,
    name: str = "class",
    alpha: Coefficient = 1.0,
    beta: Coefficient = 1.0,
    gamma: Coefficient = 0.0,
    foreground: Callable[[Array], Array] | None = None,
    adversarial: AdversarialLoss = non_saturating,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The game above.

    Args:
        players: the networks; the task network is `trunk` and `head`.
        latents: noise beside the image; None repaints every image in one way.
        optimizers: `disc` of discriminator and task network, `gen` of the generator.
        domains: the two, as many examples of either; networks always run separately.
        name: of the classes; labels are `labels/<source>`.
        alpha, beta: weights of the adversary and of the task.
        gamma: weight of the content; 0 leaves its row out.
        foreground: `(images [n, ...]) -> mask` in 0 and 1, of the source's images; None is all.
        adversarial: the pair of losses on logits, without batch means.
        ema: half-lives in examples, by group.

    Returns:
        A game that predicts `<name>` and `features` of images as they are, and `to/<target>`,
        images of the source repainted (with latents of its own).

    Raises:
        ValueError: for a joint pass, a pair with batch means; at `init` for a batch without both
            domains in equal numbers, a generator of other images.
    """
    task = domains_lib.source_task(players.head, domains, name=name)
    plan = _Plan(players, task, latents, adversarial, domains, bool(gamma), foreground)
    _check(plan)
    learned = Objective({"trunk": beta, task.group: beta})
    judging = {
        ADVERSARIAL: Objective({"disc": alpha}, signed=True),
        task.name: learned,
        plan.fake: learned,
    }
    painting = {
        ADVERSARIAL: Objective({"gen": alpha}, signed=True),
        plan.fake: Objective({"gen": beta}),
    }
    if gamma:
        painting[CONTENT] = Objective({"gen": gamma})
    predict = domains_lib.predictions(players.trunk, (task,))
    return Game(
        functools.partial(_init, plan),
        turns(
            (functools.partial(_disc_losses, plan), functools.partial(_gen_losses, plan)),
            (judging, painting),
            optimizers,
            (None, None),
        ),
        ema=ema or {},
        predict={**predict, f"to/{domains.target}": functools.partial(_painted, plan)},
    )


def _check(plan: _Plan) -> None:
    domains_lib.check_domains(plan.domains, (plan.task,))
    coupled.check_pair("pixelda", plan.adversarial)
    if plan.domains.passes == "joint":
        raise ValueError(
            "pixelda: domains meet in no network's pass: use Domains(passes='separate')."
        )
    if plan.latents is not None:
        plan.latents.check()
    if plan.foreground is not None and not plan.content:
        raise ValueError("pixelda: foreground is asked for nothing: give gamma a weight.")


def _init(plan: _Plan, key: jax.Array, batch: Batch):
    domains_lib.check_batch(plan.domains, batch, paired=True)
    keys = jax.random.split(key, 4)
    groups, _ = domains_lib.init_tasks(
        plan.players.trunk, (plan.task,), plan.domains, keys[0], batch, plan.fake
    )
    images = batch[plan.domains.images[0]]
    groups["disc"] = plan.players.disc.init(keys[1], images)
    context = Context(keys[3], jnp.zeros((), jnp.int32))
    groups["gen"] = plan.players.gen.init(keys[2], *plan.inputs(images, context))
    made, _ = plan.paint(starting(groups), images, context)
    if made.shape != images.shape:
        raise ValueError(
            f"pixelda: players.gen makes {made.shape[1:]}, the data has {images.shape[1:]}: give "
            "it the data's size and channels."
        )
    return groups


def _disc_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    source, target = (batch[name] for name in plan.domains.images)
    fakes, variables = plan.paint(variables, source, context)
    fakes = jax.lax.stop_gradient(fakes)
    logits, variables = plan.judge(variables, target, fakes, context)
    plain, variables = plan.ask(variables, source, batch, context.fold("plain"))
    painted, variables = plan.ask(variables, fakes, batch, context.fold("painted"))
    losses = {
        ADVERSARIAL: Loss(plan.adversarial.disc(*logits)),
        plan.task.name: plain.loss,
        plan.fake: painted.loss,
    }
    assert plain.accuracy is not None and painted.accuracy is not None  # classes
    metrics = {
        f"{plan.task.name}_accuracy": plain.accuracy,
        f"{plan.fake}_accuracy": painted.accuracy,
    }
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    source, target = (batch[name] for name in plan.domains.images)
    fakes, variables = plan.paint(variables, source, context)
    logits, variables = plan.judge(variables, target, fakes, context)
    painted, variables = plan.ask(variables, fakes, batch, context.fold("painted"))
    losses = {ADVERSARIAL: Loss(plan.adversarial.gen(*logits)), plan.fake: painted.loss}
    if plan.content:
        mask = 1.0 if plan.foreground is None else plan.foreground(source)
        losses[CONTENT] = Loss(scale_invariant_mse(fakes * mask, source * mask))
    return Outcome(losses, variables)


def _painted(plan: _Plan, variables: Variables, images: Array, context: Context) -> Array:
    return plan.paint(variables, images, context)[0]
