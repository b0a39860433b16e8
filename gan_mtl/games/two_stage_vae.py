r"""Two-stage VAE: a second VAE learns the law that the first one's codes really have.

    turn    objective       encoder  decoder  scale  second/encoder  second/decoder  second/scale
    first   reconstruction        1        1      1               .               .             .
    first   kl                    1        .      .               .               .             .
    second  reconstruction        .        .      .               1               1             1
    second  kl                    .        .      .               1               .             .

Where the likelihood's sigma is learned and becomes small, the codes of a VAE fill the latent space,
but not as the prior does, and samples of the prior are poor. The second VAE, with as many latents
as the first, is trained on draws z of q(z | x); a sample goes u ~ N(0, 1), z ~ p(z | u), mean of
p(x | z). No gradient of the second turn reaches the first VAE.

Deviation: the paper trains the second VAE after the first. Here both play in every step; the first
is not told of the second, and the second follows the first until that stands still.

Reference:
    Dai & Wipf, "Diagnosing and Enhancing VAE Models", ICLR 2019, arXiv 1903.05789.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.games import vae as first_stage
from gan_mtl.games.latent_models import Likelihood, learned_log_sigma, posterior
from gan_mtl.losses.vae import gaussian_nll
from gan_mtl.types import (
    Batch,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Optimizer,
    Outcome,
    Turn,
    Variables,
    starting,
)

SCALE = "second/scale"
LEARNED = Likelihood("learned")


class Stages(NamedTuple):
    """The networks of both stages.

    encoder, decoder: as of `vae`.
    second_encoder: codes [n, latent] to [n, 2 latent].
    second_decoder: second codes [n, latent] to means of the codes [n, latent].
    """

    encoder: Network
    decoder: Network
    second_encoder: Network
    second_decoder: Network


class Plan(NamedTuple):
    """What the functions of both turns have in common."""

    first: first_stage.Plan
    stages: Stages

    @property
    def latent(self) -> int:
        """The number of latents of both stages."""
        return self.first.latent

    def encode(self, variables: Variables, z: Array, context: Context):
        """The posterior q(u | z) of codes, and the variables after it."""
        outputs, variables = variables.apply(
            self.stages.second_encoder, "second/encoder", z, context=context.fold("second/encoder")
        )
        return posterior(outputs, self.latent, "second_encoder"), variables

    def decode(self, variables: Variables, u: Array, context: Context):
        """The means of p(z | u), and the variables after them."""
        means, variables = variables.apply(
            self.stages.second_decoder, "second/decoder", u, context=context.fold("second/decoder")
        )
        if means.shape != u.shape:
            raise ValueError(
                f"second_decoder: it gives {means.shape}; expected [n, {self.latent}], the means "
                "of the codes."
            )
        return means, variables


def two_stage_vae(
    stages: Stages,
    latent: int,
    optimizers: tuple[Optimizer | Mapping[str, Optimizer], Optimizer | Mapping[str, Optimizer]],
    *,
    likelihood: Likelihood = LEARNED,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """Two variational autoencoders, one on the codes of the other.

    Args:
        stages: the four networks.
        latent: the number of latents of both.
        optimizers: of the first and of the second turn.
        likelihood: of images; the paper's is "learned". That of codes always is.
        ema: half-lives in examples, by group.

    Returns:
        A game that samples through both stages, with `predict` as of `vae` for the first stage, and
        "second_elbo" [n], of a code drawn for each image.

    Raises:
        ValueError: as of `vae`; from `init`, for networks of other shapes.
    """
    game = first_stage.vae(
        stages.encoder, stages.decoder, latent, optimizers[0], likelihood=likelihood, ema=ema
    )
    plan = Plan(
        first_stage.Plan(stages.encoder, stages.decoder, latent, likelihood, 1, "elbo"), stages
    )
    rows = {
        "reconstruction": Objective(
            {"second/encoder": 1.0, "second/decoder": 1.0, SCALE: 1.0}, signed=True
        ),
        "kl": Objective({"second/encoder": 1.0}),
    }
    second = Turn("second", functools.partial(_losses, plan), rows, optimizers[1])
    return game._replace(
        init=functools.partial(_init, plan, game),
        turns=(game.turns[0]._replace(name="first"), second),
        sample=functools.partial(_sample, plan),
        latents=functools.partial(_latents, plan),
        generate=functools.partial(_generate, plan),
        predict={**game.predict, "second_elbo": functools.partial(_elbo, plan)},
    )


def _init(plan: Plan, game: Game, key, batch: Batch):
    keys = jax.random.split(key, 4)
    groups = game.init(keys[0], batch)
    context = Context(keys[3], jnp.zeros((), jnp.int32))
    z = _codes(plan, starting(groups), batch["images"], context)
    groups["second/encoder"] = plan.stages.second_encoder.init(keys[1], z)
    found, _ = plan.encode(starting(groups), z, context)
    groups["second/decoder"] = plan.stages.second_decoder.init(keys[2], found.mean)
    plan.decode(starting(groups), found.mean, context)
    groups[SCALE] = {"params": {"log_sigma": jnp.zeros((), z.dtype)}}
    return groups


def _codes(plan: Plan, variables: Variables, images: Array, context: Context):
    """Codes drawn of q(z | x), through which no gradient flows."""
    found, _ = plan.first.encode(variables, images, context)
    return jax.lax.stop_gradient(found.draw(context)[:, 0])


def _terms(plan: Plan, variables: Variables, images: Array, context: Context):
    """The two rows of the second stage [n], and the variables after them."""
    z = _codes(plan, variables, images, context)
    found, variables = plan.encode(variables, z, context)
    means, variables = plan.decode(variables, found.draw(context.fold("second"))[:, 0], context)
    given = gaussian_nll(means, z, learned_log_sigma(variables, SCALE))
    return {"reconstruction": Loss(given), "kl": Loss(found.kl())}, variables


def _losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    return Outcome(*_terms(plan, variables, batch["images"], context))


def _elbo(plan: Plan, variables: Variables, images: Array, context: Context):
    terms, _ = _terms(plan, variables, images, context)
    return -sum(loss.values for loss in terms.values())


def _latents(plan: Plan, n: int, context: Context) -> Float[Array, "n 2d"]:
    """u, and the noise of p(z | u), side by side."""
    return draws.normal(n, (2 * plan.latent,), context.fold("latents"))


def _generate(plan: Plan, variables: Variables, z: Array, labels: Array | None, context: Context):
    del labels
    u, noise = z[:, : plan.latent], z[:, plan.latent :]
    means, variables = plan.decode(variables, u, context)
    codes = means + jnp.exp(learned_log_sigma(variables, SCALE)) * noise
    return plan.first.likelihood.mean(plan.first.decode(variables, codes, context)[0])


def _sample(plan: Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return _generate(plan, variables, _latents(plan, n, context), labels, context)
