"""Two small domains and linear networks: what tests of domain adaptation work out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from linear import linear

from gan_mtl import games, table
from gan_mtl.types import Context, starting
from gan_mtl.update import alternating

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
DOMAINS = games.Domains("a", "b")
CLASS = games.source_task(linear(3), DOMAINS)
SGD = games.Optimizers(gen=optax.sgd(0.1), disc=optax.sgd(0.1))
RNG = np.random.default_rng(0)


def batch(n=6, m=6):
    """Vectors of four values, the target's shifted; labels of the source alone."""
    return {
        "images/a": jnp.asarray(RNG.normal(size=(n, 4)), jnp.float32),
        "labels/a": jnp.asarray(RNG.integers(0, 3, n)),
        "images/b": jnp.asarray(1 + RNG.normal(size=(m, 4)), jnp.float32),
    }


BATCH = batch()


def rows(game):
    """The printed table, its header apart."""
    header, *lines = (line.split() for line in table.render(game).splitlines())
    return header, lines


def outcomes(game, data=BATCH):
    """What every turn's function returns at the first parameters, and these as NumPy matrices."""
    groups = game.init(KEY, data)
    found = [turn.losses(starting(groups), data, CONTEXT) for turn in game.turns]
    return found, {n: np.asarray(g["params"]["w"]) for n, g in groups.items()}


def value(loss):
    """A loss as the update reduces it."""
    if loss.mask is None:
        return float(loss.values.mean())
    return float((loss.values * loss.mask).sum() / loss.mask.sum())


def moved(game, number, data):
    """The groups that one turn of a game moves, to the bit."""
    turn = game.turns[number]
    still = tuple(set(game.init(KEY, data)) - set(table.moved_groups(turn)))
    updater = alternating(game._replace(turns=(turn,), frozen=still))
    start = updater.init(KEY, data)
    after, _ = jax.jit(updater.update)(KEY, start, data)

    def leaves(state, group):
        return jax.tree.leaves((state.params[group], state.state[group]))

    return {
        group
        for group in start.params
        if not all(map(np.array_equal, leaves(start, group), leaves(after, group)))
    }


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def softplus(x):
    return np.log1p(np.exp(x))
