"""Games of the zoo that know the codes of images: autoencoders, VAEs, BiGANs."""

import optax
from zoo_parts import LATENTS, adam, linen

from gan_mtl import draws, games, nets


def encoder(law=True):
    return linen(nets.Head(2 * LATENTS.dim if law else LATENTS.dim, widths=(6,)))


def decoder(output="none", **options):
    return linen(nets.MLPGenerator((6,), (4, 4, 1), output=output, **options))


def _noisy(images, context):
    return images + 0.1 * draws.normal(len(images), images.shape[1:], context)


def auto_encoder():
    """Denoising, with the best variance for each image."""
    likelihood = games.Likelihood("optimal")
    options = {"likelihood": likelihood, "corrupt": _noisy}
    return games.autoencoder(encoder(law=False), decoder(), optax.adam(1e-3), **options)


def beta_vae():
    """Grey pixels as Bernoulli ones, two codes an image."""
    options = {"beta": 0.5, "samples": 2, "asked": 3, "ema": {"decoder": 100.0}}
    networks = (encoder(), decoder(batch_norm=True))
    return games.vae(*networks, LATENTS.dim, optax.adam(1e-3), **options)


def sigma_vae():
    """The importance-weighted bound, with a learned variance."""
    likelihood = games.Likelihood("learned")
    options = {"likelihood": likelihood, "samples": 3, "bound": "iwae", "asked": 3}
    return games.vae(encoder(), decoder(), LATENTS.dim, optax.adam(1e-3), **options)


def two_stage():
    """A second VAE on the codes of a first."""
    second = linen(nets.MLPGenerator((6,), (LATENTS.dim,), output="none"))
    stages = games.Stages(encoder(), decoder(), encoder(), second)
    return games.two_stage_vae(stages, LATENTS.dim, (optax.adam(1e-3), optax.adam(1e-3)))


def vae_gan():
    """A VAE whose pixels are the discriminator's features."""
    trunk, disc = linen(nets.MLPTrunk((6,))), linen(nets.Head())
    networks = games.VaeGanPlayers(encoder(), decoder("tanh", batch_norm=True), trunk, disc)
    return games.vae_gan(networks, LATENTS.dim, adam(), gamma=0.1)


def bigan(law=False):
    disc = linen(nets.PairDiscriminator(nets.MLPTrunk((6,)), (6,)))
    networks = games.BiganPlayers(encoder(law), decoder("tanh", batch_norm=True), disc)
    return games.bigan(networks, LATENTS, adam(), stochastic=law)


def ali():
    return bigan(law=True)
