"""A game of the zoo that repairs what it has damaged."""

import functools

from zoo_parts import CLASSES, adam, linen

from gan_mtl import games, nets
from gan_mtl.games import corruptions

DAMAGE = functools.partial(
    corruptions.one_of,
    corruptions=(
        functools.partial(corruptions.centre_hole, fill=0.5),
        corruptions.gaussian_noise,
    ),
)


def mended(**options):
    """Holes and noise, an adversary and classes."""
    players = games.RepairPlayers(
        gen=linen(nets.DenseRepairer((6,))),
        trunk=linen(nets.MLPTrunk((6,))),
        disc=linen(nets.Head()),
        classes=linen(nets.Head(CLASSES)),
    )
    return games.repair(players, adam(), DAMAGE, adversarial=0.1, classes=0.2, **options)
