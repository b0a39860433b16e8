r"""BiGAN and ALI: a discriminator of pairs, whose players learn to generate and to encode.

    turn   objective    disc  encoder  gen
    disc   adversarial     1        .    .
    gen    adversarial     .        1    1

The discriminator tells (x, E(x)) from (G(z), z). At the optimum of the minimax game both have the
same law, and E inverts G. Encoder and generator descend the same value with the labels swapped,
:math:`\mathrm{softplus}(D(x, E(x))) + \mathrm{softplus}(-D(G(z), z))` (the papers' codes; with
`losses.minimax` it is their equation). BiGAN's encoder is a function; ALI's draws from a normal.

Reference:
    Donahue, Krahenbuhl & Darrell, "Adversarial Feature Learning", ICLR 2017, arXiv 1605.09782;
    Dumoulin et al., "Adversarially Learned Inference", ICLR 2017, arXiv 1606.00704.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl.games.latent_models import check_decoded, posterior
from gan_mtl.games.players import Latents, Optimizers
from gan_mtl.losses.adversarial import AdversarialLoss, least_squares, non_saturating
from gan_mtl.types import (
    Batch,
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


class BiganPlayers(NamedTuple):
    """The networks; which group each is in has the same name.

    encoder: images to codes [n, d], or to [n, 2 d], means and log variances (`stochastic`).
    gen: codes to images.
    disc: `(images, codes)` to logits [n].
    """

    encoder: Network
    gen: Network
    disc: Network


class Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: BiganPlayers
    latents: Latents
    adversarial: AdversarialLoss
    stochastic: bool

    def encode(self, variables: Variables, images: Array, context: Context, mean: bool = False):
        """Codes of images [n, d], drawn where the encoder has a law, and the variables after."""
        codes, variables = variables.apply(
            self.players.encoder, "encoder", images, context=context.fold("encoder")
        )
        if self.stochastic:
            found = posterior(codes, self.latents.dim, "players.encoder")
            codes = found.mean if mean else found.draw(context)[:, 0]
        elif codes.shape[1:] != (self.latents.dim,):
            raise ValueError(
                f"players.encoder: it gives {codes.shape}; expected [n, {self.latents.dim}], the "
                "codes, or stochastic=True with means and log variances."
            )
        return codes, variables

    def make(self, variables: Variables, z: Array, context: Context):
        """Images of codes, and the variables after."""
        return variables.apply(self.players.gen, "gen", z, context=context.fold("gen"))

    def judge(self, variables: Variables, images: Array, codes: Array, context: Context):
        """Logits of pairs, and the variables after."""
        return variables.apply(
            self.players.disc, "disc", images, codes, context=context.fold("disc")
        )


def bigan(
    players: BiganPlayers,
    latents: Latents,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss = non_saturating,
    stochastic: bool = False,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """BiGAN, or ALI with `stochastic`.

    Args:
        players: the three networks.
        latents: their law.
        optimizers: of the discriminator's turn, and of encoder and generator.
        adversarial: the pair of losses on logits, without batch means, and with both labels alike
            but for the sign, since the encoder plays it on negated logits: not `least_squares`.
        stochastic: whether the encoder gives means and log variances of a normal (ALI).
        ema: half-lives in examples, by group.

    Returns:
        A game that samples, with `predict` for "latents" (means where there is a law) and
        "reconstruction", G(E(x)).

    Raises:
        ValueError: for a pair that cannot be played so; from `init`, for networks of other shapes.
    """
    latents.check()
    alike = adversarial is not least_squares and adversarial.reads == "logits"
    if adversarial.batch_statistic or not alike:
        raise ValueError(
            "bigan: the encoder plays the adversarial loss on negated logits, which needs a pair "
            "of one logit with both labels alike: take losses.non_saturating, minimax, hinge or "
            "wasserstein."
        )
    plan = Plan(players, latents, adversarial, stochastic)
    judged = {"adversarial": Objective({"disc": 1.0}, signed=True)}
    made = {"adversarial": Objective({"encoder": 1.0, "gen": 1.0}, signed=True)}
    return Game(
        functools.partial(_init, plan),
        (
            Turn("disc", functools.partial(_disc_losses, plan), judged, optimizers.disc),
            Turn("gen", functools.partial(_gen_losses, plan), made, optimizers.gen),
        ),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=functools.partial(_draw, plan),
        generate=functools.partial(_generate, plan),
        predict={
            "latents": functools.partial(_means, plan),
            "reconstruction": functools.partial(_reconstruction, plan),
        },
    )


def _init(plan: Plan, key, batch: Batch):
    keys = jax.random.split(key, 4)
    images, players = batch["images"], plan.players
    context = Context(keys[3], jnp.zeros((), jnp.int32))
    groups = {"encoder": players.encoder.init(keys[0], images)}
    codes, _ = plan.encode(starting(groups), images, context)
    groups["gen"] = players.gen.init(keys[1], codes)
    fakes, _ = plan.make(starting(groups), codes, context)
    check_decoded(fakes, images, "players.gen")
    groups["disc"] = players.disc.init(keys[2], images, codes)
    return groups


def _pairs(plan: Plan, variables: Variables, images: Array, context: Context):
    """(x, E(x)) and (G(z), z), and the variables after them."""
    codes, variables = plan.encode(variables, images, context)
    z = _draw(plan, images.shape[0], context).astype(codes.dtype)
    fakes, variables = plan.make(variables, z, context)
    return ((images, codes), (fakes, z)), variables


def _logits(plan: Plan, pairs, variables: Variables, context: Context):
    found = []
    for name, pair in zip(("real", "fake"), pairs, strict=True):
        images, codes = pair
        logits, variables = plan.judge(variables, images, codes, context.fold(name))
        found.append(logits)
    return (found[0], found[1]), variables


def _disc_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    pairs, variables = _pairs(plan, variables, batch["images"], context)
    pairs = jax.lax.stop_gradient(pairs)
    (real, fake), variables = _logits(plan, pairs, variables, context)
    metrics = {"real_logits": Loss(real), "fake_logits": Loss(fake)}
    return Outcome({"adversarial": Loss(plan.adversarial.disc(real, fake))}, variables, metrics)


def _gen_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    pairs, variables = _pairs(plan, variables, batch["images"], context)
    (real, fake), variables = _logits(plan, pairs, variables, context)
    value = plan.adversarial.gen(real, fake) + plan.adversarial.gen(-fake, -real)
    return Outcome({"adversarial": Loss(value)}, variables)


def _draw(plan: Plan, n: int, context: Context) -> Float[Array, "n d"]:
    return plan.latents.draw(n, context.fold("latents"))


def _generate(plan: Plan, variables: Variables, z: Array, labels: Array | None, context: Context):
    del labels
    return plan.make(variables, z, context)[0]


def _sample(plan: Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return _generate(plan, variables, _draw(plan, n, context), labels, context)


def _means(plan: Plan, variables: Variables, images: Array, context: Context):
    return plan.encode(variables, images, context, mean=True)[0]


def _reconstruction(plan: Plan, variables: Variables, images: Array, context: Context):
    return plan.make(variables, _means(plan, variables, images, context), context)[0]
