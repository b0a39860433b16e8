r"""Coupled GANs: pairs of images in two domains, from a joint law that no paired data shows.

    turn  objective    front/<s>  front/<t>  trunk  disc  heads/class  gen  gen/<s>  gen/<t>
    disc  adversarial          1          1      1     1            .    .        .        .
    disc  class               10          .     10     .           10    .        .        .
    disc  features          0.01       0.01   0.01     .            .    .        .        .
    gen   adversarial          .          .      .     .            .    1        1        1

One latent makes a pair, :math:`(g_1(z), g_2(z))`: the generators share their first layers, which
say what the pictures hold, the discriminators their last, which read it. Both games are added,

.. math:: \max_{g_1, g_2} \min_{f_1, f_2} \sum_{i=1,2}
    -\log f_i(x_i) - \log(1 - f_i(g_i(z)))

(equation 2). For adaptation (section 5) a class head on the shared features learns from the
source's labels and is asked about the target's images; `features` are the squared distances
between the features of the two images of a pair, summed over features, as in the authors' code.

Liu & Tuzel, "Coupled Generative Adversarial Networks", NeurIPS 2016, arXiv 1606.07536.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_mtl.games import coupled
from gan_mtl.games import domains as domains_lib
from gan_mtl.games.coupled import CoupledPlan, CoupledPlayers
from gan_mtl.games.domains import Domains
from gan_mtl.games.players import Latents, Optimizers, turns
from gan_mtl.games.tasks import Task
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.types import (
    Aggregator,
    Array,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Objective,
    Outcome,
    Variables,
    Weighting,
)

FEATURES = "features"


class _Plan(NamedTuple):
    """What the functions of both turns have in common."""

    coupled: CoupledPlan
    latents: Latents
    tied: bool


def cogan(
    players: CoupledPlayers,
    latents: Latents,
    optimizers: Optimizers,
    *,
    domains: Domains,
    tasks: tuple[Task, ...] = (),
    features: Coefficient = 0.0,
    adversarial: AdversarialLoss = non_saturating,
    ema: Mapping[str, float] | None = None,
    weightings: tuple[Weighting | Aggregator | None, Weighting | Aggregator | None] = (None, None),
) -> Game:
    """The game above.

    Args:
        players: the networks; what is shared is what they say is in groups `gen`, `trunk`, `disc`.
        latents: of a pair.
        optimizers: of the discriminators' turn and of the generators'.
        domains: the two; as many examples of either.
        tasks: heads on the shared features; `games.source_task(head, domains, weight=10.0)` and
            `features=0.01` are the authors' code for MNIST and USPS. A target with few labels has a
            task on `labelled_images/<target>` with `labelled_labels/<target>`.
        features: weight of the distance between the features of a pair; 0 leaves the row out.
        adversarial: the pair of losses on logits, without batch means.
        ema: half-lives in examples, by group.
        weightings: of the discriminators' and of the generators' turn.

    Returns:
        A game that samples; labels are 0 for the source and 1 for the target (None: in turn), and
        `generate` of the same latents with either makes a pair. It predicts `features` and every
        task of the target's images, and `source/<name>` of the source's.

    Raises:
        ValueError: for a task on changed images or the target's labels, a pair with batch means; at
            `init` for a batch without both domains in equal numbers, generators of other images.
    """
    latents.check()
    plan = _Plan(CoupledPlan(players, adversarial, tasks, domains), latents, bool(features))
    coupled.check("cogan", plan.coupled)
    judging = coupled.disc_rows(plan.coupled)
    if features:
        tied = dict.fromkeys((*plan.coupled.own("front"), "trunk"), features)
        judging[FEATURES] = Objective(tied, penalty=True)
    made = dict.fromkeys(("gen", *plan.coupled.own("gen")), 1.0)
    making = {coupled.ADVERSARIAL: Objective(made, signed=True)}
    return Game(
        functools.partial(_init, plan),
        turns(
            (functools.partial(_disc_losses, plan), functools.partial(_gen_losses, plan)),
            (judging, making),
            optimizers,
            weightings,
        ),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=functools.partial(_latents, plan),
        generate=functools.partial(coupled.generate, plan.coupled),
        predict=coupled.predictions(plan.coupled),
        classes=2,
    )


def _init(plan: _Plan, key: jax.Array, batch: Batch):
    domains_lib.check_batch(plan.coupled.domains, batch, paired=True)
    context = Context(key, jnp.zeros((), jnp.int32))
    images = batch[plan.coupled.domains.images[0]]
    z = plan.latents.draw(images.shape[0], context).astype(images.dtype)
    return coupled.init("cogan", plan.coupled, z, key, batch, FEATURES)


def _latents(plan: _Plan, n: int, context: Context) -> Array:
    return plan.latents.draw(n, context.fold("latents"))


def _sample(plan: _Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return coupled.generate(plan.coupled, variables, _latents(plan, n, context), labels, context)


def _pairs(plan: _Plan, variables: Variables, batch: Batch, context: Context):
    z = _latents(plan, batch[plan.coupled.domains.images[0]].shape[0], context)
    return plan.coupled.make_pair(variables, z, context)


def _disc_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    fakes, variables = _pairs(plan, variables, batch, context)
    losses, metrics, (s, t), variables = coupled.judged(
        plan.coupled, variables, batch, fakes, context
    )
    if plan.tied:
        losses[FEATURES] = Loss(jnp.square(s - t).sum(axis=tuple(range(1, s.ndim))))
    return Outcome(losses, variables, metrics)


def _gen_losses(plan: _Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    fakes, variables = _pairs(plan, variables, batch, context)
    loss, variables = coupled.fooled(plan.coupled, variables, batch, fakes, context)
    return Outcome({coupled.ADVERSARIAL: loss}, variables)
