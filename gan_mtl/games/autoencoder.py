"""Autoencoders, plain and denoising.

    turn   objective       encoder  decoder
    model  reconstruction        1        1

Reference:
    Vincent, Larochelle, Bengio & Manzagol, "Extracting and Composing Robust Features with Denoising
    Autoencoders", ICML 2008.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from gan_mtl.games.latent_models import Likelihood, check_decoded
from gan_mtl.types import (
    Array,
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

Change = Callable[[Array, Context], Array]
SQUARED = Likelihood("gaussian")


def autoencoder(
    encoder: Network,
    decoder: Network,
    optimizer: Optimizer | Mapping[str, Optimizer],
    *,
    likelihood: Likelihood = SQUARED,
    corrupt: Change | None = None,
    ema: Mapping[str, float] | None = None,
) -> Game:
    """An autoencoder: codes without a law, the baseline of everything that has one.

    Args:
        encoder: images to codes [n, d].
        decoder: codes to the likelihood's outputs, as of `vae`.
        optimizer: of both groups together, or one by group.
        likelihood: what the reconstruction is measured by; "gaussian" with sigma = 1 is half the
            squared error, summed over pixels, and a constant.
        corrupt: `(images, context) -> images` that the encoder is shown in training (denoising,
            Vincent et al. 2008), by `draws`; the target is the image as it was.
        ema: half-lives in examples, by group.

    Returns:
        A game that samples nothing, with `predict` for "latents" and "reconstruction".

    Raises:
        ValueError: for a likelihood that there is not; from `init`, for networks of other shapes.
    """
    likelihood.check()
    rows = {
        "reconstruction": Objective(
            {"encoder": 1.0, "decoder": 1.0, **likelihood.entries()}, signed=likelihood.signed
        )
    }
    coded = functools.partial(_coded, encoder)
    decoded = functools.partial(_decoded, encoder, decoder)

    def init(key, batch):
        keys = jax.random.split(key, 3)
        images = batch["images"]
        context = Context(keys[2], jnp.zeros((), jnp.int32))
        groups = {"encoder": encoder.init(keys[0], images), **likelihood.groups(images)}
        code = coded(starting(groups), images, context)
        groups["decoder"] = decoder.init(keys[1], code)
        check_decoded(decoded(starting(groups), images, context)[0], images)
        return groups

    def losses_of(variables, batch, context):
        images = batch["images"]
        shown = images if corrupt is None else corrupt(images, context.fold("corrupt"))
        outputs, variables = decoded(variables, shown, context)
        value = likelihood.nll(variables, outputs, images)
        return Outcome({"reconstruction": Loss(value)}, variables)

    def reconstruction(variables, images, context):
        return likelihood.mean(decoded(variables, images, context)[0])

    turn = Turn("model", losses_of, rows, optimizer)
    predict = {"latents": coded, "reconstruction": reconstruction}
    return Game(init, (turn,), ema=ema or {}, predict=predict)


def _coded(encoder: Network, variables: Variables, images: Array, context: Context) -> Array:
    return variables.apply(encoder, "encoder", images, context=context.fold("encoder"))[0]


def _decoded(
    encoder: Network, decoder: Network, variables: Variables, images: Array, context: Context
):
    code, variables = variables.apply(encoder, "encoder", images, context=context.fold("encoder"))
    return variables.apply(decoder, "decoder", code, context=context.fold("decoder"))
