r"""VAE/GAN: images are compared by what the discriminator sees in them.

    turn   objective    trunk  disc  encoder  decoder
    disc   adversarial      1     1        .        .
    gen    kl               .     .        1        .
    gen    features         .     .        1    gamma
    gen    adversarial      .     .        .        1

The likelihood of an image is a unit normal around its reconstruction, in the trunk's features
(`features`). The table is the paper's algorithm 1: the encoder has nothing to do with the
adversary, the decoder weighs the two by gamma, and the trunk learns from the adversary alone. Fakes
are reconstructions and images of drawn codes. Deviations: the adversarial losses of the two fakes
are averaged (the paper adds them, against one real term), and the decoder plays the second function
of `adversarial`, by default the non-saturating one (`losses.minimax` is the paper's).

Reference:
    Larsen, Sonderby, Larochelle & Winther, "Autoencoding beyond Pixels Using a Learned Similarity
    Metric", ICML 2016, arXiv 1512.09300.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.games.latent_models import check_decoded, posterior
from gan_mtl.games.players import Optimizers
from gan_mtl.losses.adversarial import AdversarialLoss, non_saturating
from gan_mtl.losses.vae import gaussian_nll
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


class VaeGanPlayers(NamedTuple):
    """The networks; which group each is in has the same name.

    encoder: images to [n, 2 latent], means and log variances.
    decoder: codes [n, latent] to images, the generator.
    trunk: images to features [n, ...], in which reconstructions are compared.
    disc: features to logits [n].
    """

    encoder: Network
    decoder: Network
    trunk: Network
    disc: Network


class Plan(NamedTuple):
    """What the functions of both turns have in common."""

    players: VaeGanPlayers
    latent: int
    adversarial: AdversarialLoss

    def encode(self, variables: Variables, images: Array, context: Context):
        """The posterior of images, and the variables after it."""
        outputs, variables = variables.apply(
            self.players.encoder, "encoder", images, context=context.fold("encoder")
        )
        return posterior(outputs, self.latent, "players.encoder"), variables

    def decode(self, variables: Variables, z: Array, context: Context):
        """Images of codes, and the variables after it."""
        return variables.apply(self.players.decoder, "decoder", z, context=context.fold("decoder"))

    def judge(self, variables: Variables, images: Array, context: Context):
        """Features and logits of images, and the variables after it."""
        hidden, variables = variables.apply(
            self.players.trunk, "trunk", images, context=context.fold("trunk")
        )
        logits, variables = variables.apply(
            self.players.disc, "disc", hidden, context=context.fold("disc")
        )
        return hidden, logits, variables

    def both(self, variables: Variables, images: Array, context: Context):
        """The posterior, reconstructions and images of drawn codes, and the variables after."""
        found, variables = self.encode(variables, images, context)
        z = found.draw(context)[:, 0]
        again, variables = self.decode(variables, z, context.fold("again"))
        drawn = latents(self.latent, images.shape[0], context)
        fakes, variables = self.decode(variables, drawn, context.fold("fakes"))
        return found, again, fakes, variables


def latents(dim: int, n: int, context: Context) -> Float[Array, "n dim"]:
    """Codes of the standard normal prior."""
    return draws.normal(n, (dim,), context.fold("latents"))


def vae_gan(
    players: VaeGanPlayers,
    latent: int,
    optimizers: Optimizers,
    *,
    adversarial: AdversarialLoss = non_saturating,
    gamma: Coefficient = 1e-3,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """The VAE/GAN.

    Args:
        players: the four networks.
        latent: d, the number of latents.
        optimizers: of the discriminator's turn, and of encoder and decoder.
        adversarial: the pair of losses on logits, without batch means.
        gamma: of the features' likelihood in the decoder. That is summed over features, so that
            what is right depends on their number.
        ema: half-lives in examples, by group.

    Returns:
        A game that samples, with `predict` for "latents", "reconstruction", "features" (the
        trunk's) and "disc" (logits).

    Raises:
        ValueError: for a pair with batch means; from `init`, for networks of other shapes.
    """
    if adversarial.batch_statistic or adversarial.reads != "logits":
        raise ValueError(
            "vae_gan: the pair must be a function of one logit an image, without batch means: take "
            "losses.non_saturating, minimax, hinge, ..."
        )
    if latent < 1:
        raise ValueError(f"vae_gan: latent={latent}: it must be at least 1.")
    plan = Plan(players, latent, adversarial)
    judged = {"adversarial": Objective({"trunk": 1.0, "disc": 1.0}, signed=True)}
    made = {
        "kl": Objective({"encoder": 1.0}),
        "features": Objective({"encoder": 1.0, "decoder": gamma}),
        "adversarial": Objective({"decoder": 1.0}, signed=True),
    }
    return Game(
        functools.partial(_init, plan),
        (
            Turn("disc", functools.partial(_disc_losses, plan), judged, optimizers.disc),
            Turn("gen", functools.partial(_gen_losses, plan), made, optimizers.gen),
        ),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=functools.partial(latents, latent),
        generate=functools.partial(_generate, plan),
        predict={
            "latents": functools.partial(_means, plan),
            "reconstruction": functools.partial(_reconstruction, plan),
            "features": functools.partial(_seen, plan, 0),
            "disc": functools.partial(_seen, plan, 1),
        },
    )


def _init(plan: Plan, key, batch: Batch):
    keys = jax.random.split(key, 5)
    images, players = batch["images"], plan.players
    context = Context(keys[4], jnp.zeros((), jnp.int32))
    groups = {"encoder": players.encoder.init(keys[0], images)}
    found, _ = plan.encode(starting(groups), images, context)
    groups["decoder"] = players.decoder.init(keys[1], found.mean)
    again, _ = plan.decode(starting(groups), found.mean, context)
    check_decoded(again, images, "players.decoder")
    groups["trunk"] = players.trunk.init(keys[2], images)
    hidden, _ = starting(groups).apply(players.trunk, "trunk", images, context=context)
    groups["disc"] = players.disc.init(keys[3], hidden)
    return groups


def _disc_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = batch["images"]
    _, again, fakes, variables = plan.both(variables, images, context)
    _, real, variables = plan.judge(variables, images, context.fold("real"))
    values, metrics = [], {"real_logits": Loss(real)}
    for name, made in (("again", again), ("fake", fakes)):
        made = jax.lax.stop_gradient(made)
        _, logits, variables = plan.judge(variables, made, context.fold(name))
        values.append(plan.adversarial.disc(real, logits))
        metrics[f"{name}_logits"] = Loss(logits)
    return Outcome({"adversarial": Loss(0.5 * (values[0] + values[1]))}, variables, metrics)


def _gen_losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = batch["images"]
    found, again, fakes, variables = plan.both(variables, images, context)
    wanted, real, variables = plan.judge(variables, images, context.fold("real"))
    hidden, logits, variables = plan.judge(variables, again, context.fold("again"))
    _, fake, variables = plan.judge(variables, fakes, context.fold("fake"))
    values = [plan.adversarial.gen(real, x) for x in (logits, fake)]
    losses = {
        "kl": Loss(found.kl()),
        "features": Loss(gaussian_nll(hidden, wanted)),
        "adversarial": Loss(0.5 * (values[0] + values[1])),
    }
    return Outcome(losses, variables)


def _generate(plan: Plan, variables: Variables, z: Array, labels: Array | None, context: Context):
    del labels
    return plan.decode(variables, z, context)[0]


def _sample(plan: Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return _generate(plan, variables, latents(plan.latent, n, context), labels, context)


def _means(plan: Plan, variables: Variables, images: Array, context: Context):
    return plan.encode(variables, images, context)[0].mean


def _reconstruction(plan: Plan, variables: Variables, images: Array, context: Context):
    return plan.decode(variables, _means(plan, variables, images, context), context)[0]


def _seen(plan: Plan, which: int, variables: Variables, images: Array, context: Context):
    return plan.judge(variables, images, context)[which]
