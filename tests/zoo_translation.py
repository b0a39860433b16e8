"""Games of the zoo that make images of two domains."""

import jax
import jax.numpy as jnp
import optax
from pointwise import pointwise
from zoo_domains import DOMAINS, domain_class
from zoo_parts import CLASSES, LATENTS, adam, linen

from gan_mtl import games, nets


def coupled_players(**options):
    return games.CoupledPlayers(
        gen=linen(nets.MLPGenerator((), (5,), output="tanh", **options)),
        gen_out=linen(nets.MLPGenerator((), (4, 4, 1), output="tanh")),
        front=linen(nets.MLPTrunk((6,))),
        trunk=linen(nets.MLPTrunk((5,))),
        disc=linen(nets.Head()),
    )


def coupled_pair():
    """CoGAN with a class head and tied features, its shared layers run over both domains."""
    domains, tasks = DOMAINS._replace(passes="joint"), (domain_class(weight=10.0),)
    options = {"domains": domains, "tasks": tasks, "features": 0.01}
    return games.cogan(coupled_players(batch_norm=True), LATENTS, adam(), **options)


def through_a_code():
    """UNIT, without tasks."""
    encoders = linen(nets.MLPTrunk((6,))), linen(nets.Head(LATENTS.dim))
    return games.unit(coupled_players(), *encoders, (LATENTS.dim,), adam(), domains=DOMAINS)


def repainted():
    """PixelDA with latents and the content of bright pixels."""
    players = games.PixeldaPlayers(
        gen=pointwise(1, noise=True, squash=True),
        disc=linen(nets.Head()),
        trunk=linen(nets.MLPTrunk((6,))),
        head=linen(nets.Head(CLASSES)),
    )
    options = {"domains": DOMAINS, "gamma": 0.5, "foreground": _bright}
    return games.pixelda(players, LATENTS, adam(), **options)


def _bright(images):
    return (images > 0).astype(images.dtype)


def cycled():
    """CyCADA with the features' adversary."""
    trunk, head = linen(nets.MLPTrunk((6,))), linen(nets.Head(CLASSES))
    key = jax.random.key(3)
    source = {
        "trunk": trunk.init(key, jnp.ones((2, 4, 4, 1))),
        "heads/class": head.init(key, jnp.ones((2, 6))),
    }
    judge = linen(nets.Head())
    players = games.CycadaPlayers(pointwise(1, squash=True), judge, trunk, head, judge)
    optimizers = games.CycadaOptimizers(*(optax.adam(1e-3),) * 3)
    return games.cycada(players, optimizers, source, domains=DOMAINS)
