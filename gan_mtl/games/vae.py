r"""Variational autoencoders, with a learned scale of the likelihood in its own group:

    turn   objective       encoder  decoder  scale
    model  reconstruction        1        1      1
    model  kl                 beta        .      .

`vae(bound="iwae")` has one row, `bound`, with entries 1 in all groups. All values are nats of an
example, summed over pixels and latents: with beta = 1 the sum of the two rows is -ELBO.

Reference:
    Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014; Burda, Grosse & Salakhutdinov,
    "Importance Weighted Autoencoders", ICLR 2016; Higgins et al., "beta-VAE", ICLR 2017; Rybkin,
    Daniilidis & Levine, "Simple and Effective VAE Training with Calibrated Decoders", ICML 2021.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_mtl import draws
from gan_mtl.games.latent_models import Likelihood, Posterior, check_decoded, posterior
from gan_mtl.losses import vae as losses
from gan_mtl.types import (
    Aggregator,
    Batch,
    Coefficient,
    Context,
    Game,
    Loss,
    Network,
    Objective,
    Optimizer,
    Outcome,
    Turn,
    Variables,
    Weighting,
    starting,
)

BERNOULLI = Likelihood()


class Plan(NamedTuple):
    """What the functions of a VAE have in common; see `vae`."""

    encoder: Network
    decoder: Network
    latent: int
    likelihood: Likelihood
    samples: int
    bound: Literal["elbo", "iwae"]

    def encode(self, variables: Variables, images: Array, context: Context):
        """The posterior of images, and the variables after it."""
        outputs, variables = variables.apply(
            self.encoder, "encoder", images, context=context.fold("encoder")
        )
        return posterior(outputs, self.latent), variables

    def decode(self, variables: Variables, z: Array, context: Context):
        """The decoder's outputs of codes [m, d], and the variables after it."""
        return variables.apply(self.decoder, "decoder", z, context=context.fold("decoder"))

    def decoded(self, variables: Variables, images: Array, z: Array, context: Context):
        """-log p(x | z) of k codes [n, k, d] of each image, [n, k], and the variables after it."""
        n, k, _ = z.shape
        outputs, variables = self.decode(variables, z.reshape(n * k, -1), context)
        repeated = jnp.repeat(images, k, axis=0)
        return self.likelihood.nll(variables, outputs, repeated).reshape(n, k), variables

    def log_weights(self, variables: Variables, images: Array, k: int, context: Context):
        """log p(x, z) - log q(z | x) of k codes of each image, [n, k], and the variables after."""
        found, variables = self.encode(variables, images, context)
        z = found.draw(context, k)
        given, variables = self.decoded(variables, images, z, context)
        return _log_weights(found, z, given), variables


def _log_weights(found: Posterior, z: Float[Array, "n k d"], given: Float[Array, "n k"]):
    n, k, d = z.shape
    flat = z.reshape(n * k, d)
    mean, log_variance = (jnp.repeat(x, k, axis=0) for x in found)
    q = losses.normal_nll(flat, mean, log_variance)
    prior = losses.gaussian_nll(jnp.zeros_like(flat), flat)
    return (q - prior).reshape(n, k) - given


def vae(
    encoder: Network,
    decoder: Network,
    latent: int,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    likelihood: Likelihood = BERNOULLI,
    beta: Coefficient = 1.0,
    samples: int = 1,
    bound: Literal["elbo", "iwae"] = "elbo",
    asked: int = 50,
    weighting: Weighting | Aggregator | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """A variational autoencoder with a standard normal prior.

    Args:
        encoder: images to [n, 2 latent], means and log variances.
        decoder: codes [n, latent] to the likelihood's outputs, of the images' shape and without a
            squashing at the end (`output="none"`).
        latent: d, the number of latents.
        optimizer: of all groups together, or one by group.
        likelihood: of images given the decoder's outputs.
        beta: coefficient of the KL (a `Schedule` for a warm-up). Other values than 1 are beta-VAE,
            and `reconstruction + beta kl` is then no bound.
        samples: k codes of each image in training; the reconstruction is their mean.
        bound: "elbo", or "iwae" for the importance-weighted bound of k codes.
        asked: codes of each image in `predict["log_weights"]`. For a bound of more, ask again
            under other keys and put the answers side by side before `losses.importance_bound`.
        weighting: how the rows are put together; None is the plain sum, and the bound.
        ema: half-lives in examples, by group.

    Returns:
        A game that samples mean images, with `predict` for "latents" (means) [n, d],
        "reconstruction" (the mean image of the mean code), "elbo" [n] (in nats, one code, the KL in
        closed form) and "log_weights" [n, asked]. Under the "optimal" likelihood, whose sigma the
        image chooses for every code, "elbo" bounds no density, and there are no "log_weights".

    Raises:
        ValueError: for numbers or names that mean nothing, `bound="iwae"` with another beta or the
            "optimal" likelihood; from `init`, for networks of other shapes.
    """
    _check(latent, likelihood, beta, samples, bound, asked)
    plan = Plan(encoder, decoder, latent, likelihood, samples, bound)
    both = {"encoder": 1.0, "decoder": 1.0, **likelihood.entries()}
    if bound == "iwae":
        rows = {"bound": Objective(both, signed=likelihood.signed)}
    else:
        rows = {
            "reconstruction": Objective(both, signed=likelihood.signed),
            "kl": Objective({"encoder": beta}),
        }
    turn = Turn("model", functools.partial(_losses, plan), rows, optimizer, weighting)
    predict = {
        "latents": functools.partial(_means, plan),
        "reconstruction": functools.partial(_reconstruction, plan),
        "elbo": functools.partial(_elbo, plan),
    }
    if likelihood.kind != "optimal":
        predict["log_weights"] = functools.partial(_asked, plan, asked)
    return Game(
        functools.partial(_init, plan),
        (turn,),
        ema=ema or {},
        sample=functools.partial(_sample, plan),
        latents=functools.partial(_latents, plan),
        generate=functools.partial(_generate, plan),
        predict=predict,
    )


def _init(plan: Plan, key, batch: Batch):
    keys = jax.random.split(key, 3)
    images = batch["images"]
    context = Context(keys[2], jnp.zeros((), jnp.int32))
    groups = {"encoder": plan.encoder.init(keys[0], images), **plan.likelihood.groups(images)}
    found, _ = plan.encode(starting(groups), images, context)
    groups["decoder"] = plan.decoder.init(keys[1], found.mean)
    outputs, _ = plan.decode(starting(groups), found.mean, context)
    check_decoded(outputs, images)
    return groups


def _losses(plan: Plan, variables: Variables, batch: Batch, context: Context) -> Outcome:
    images = batch["images"]
    found, variables = plan.encode(variables, images, context)
    z = found.draw(context, plan.samples)
    given, variables = plan.decoded(variables, images, z, context)
    if plan.bound == "iwae":
        value = losses.importance_bound(_log_weights(found, z, given))
        return Outcome({"bound": Loss(value)}, variables, {"kl": Loss(found.kl())})
    terms = {"reconstruction": Loss(given.mean(axis=1)), "kl": Loss(found.kl())}
    total = terms["reconstruction"].values + terms["kl"].values
    return Outcome(terms, variables, {"elbo": Loss(-total)})


def _latents(plan: Plan, n: int, context: Context) -> Float[Array, "n d"]:
    return draws.normal(n, (plan.latent,), context.fold("latents"))


def _generate(plan: Plan, variables: Variables, z: Array, labels: Array | None, context: Context):
    del labels
    return plan.likelihood.mean(plan.decode(variables, z, context)[0])


def _sample(plan: Plan, variables: Variables, n: int, labels: Array | None, context: Context):
    return _generate(plan, variables, _latents(plan, n, context), labels, context)


def _means(plan: Plan, variables: Variables, images: Array, context: Context):
    return plan.encode(variables, images, context)[0].mean


def _reconstruction(plan: Plan, variables: Variables, images: Array, context: Context):
    return _generate(plan, variables, _means(plan, variables, images, context), None, context)


def _elbo(plan: Plan, variables: Variables, images: Array, context: Context):
    found, variables = plan.encode(variables, images, context)
    given, _ = plan.decoded(variables, images, found.draw(context), context)
    return -given[:, 0] - found.kl()


def _asked(plan: Plan, k: int, variables: Variables, images: Array, context: Context):
    return plan.log_weights(variables, images, k, context)[0]


def _check(latent, likelihood: Likelihood, beta, samples, bound, asked) -> None:
    likelihood.check()
    for name, value in (("latent", latent), ("samples", samples), ("asked", asked)):
        if value < 1:
            raise ValueError(f"vae: {name}={value}: it must be at least 1.")
    if bound not in ("elbo", "iwae"):
        raise ValueError(f"vae: bound={bound!r} is not 'elbo' or 'iwae'.")
    if bound == "iwae" and (beta != 1.0 or likelihood.kind == "optimal"):
        raise ValueError(
            f"vae: bound='iwae' with beta={beta} and the likelihood {likelihood.kind!r}: the bound "
            "is of a density; take beta=1.0, and a likelihood whose sigma no image chooses."
        )
