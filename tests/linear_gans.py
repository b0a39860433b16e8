"""A GAN of linear maps, whose losses a test can write down; what its turns say."""

import jax
import jax.numpy as jnp
import zoo
from linear import linear

from gan_mtl.games import Extras, Players, gan
from gan_mtl.types import Context, starting

KEY = jax.random.key(0)
CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))
N = 8


def linear_gan(trunk=5, **extras):
    players = Players(gen=linear(16, shape=(4, 4, 1)), trunk=linear(trunk), disc=linear(None))
    return gan(players, zoo.LATENTS, zoo.adam(), extras=Extras(**extras))


def played(game, turn, groups, step=0):
    context = CONTEXT._replace(step=jnp.asarray(step))
    return game.turns[turn].losses(starting(groups), zoo.batch(), context)
