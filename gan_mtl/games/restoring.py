"""Games that are asked to restore images: what they make of every test corruption.

`restoring` gives the predictions of `repair` to games that know nothing of repair: autoencoders and
models with latents, by their reconstruction or by a search.

Reference:
    Yeh, Chen, Lim, Schwing, Hasegawa-Johnson & Do, "Semantic Image Inpainting with Deep Generative
    Models", CVPR 2017, arXiv 1607.07539 (search of latents).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_mtl.games.corruptions import Corruption, Damaged, Images
from gan_mtl.types import Array, Context, Game, Variables

Mend = Callable[[Variables, Damaged, Context], Images]


def predictions(mend: Mend, tests: Mapping[str, Corruption]) -> dict[str, Callable[..., Array]]:
    """`predict` of a game that mends: "NAME/damaged", "NAME/hole" and "NAME/repaired" by name.

    Args:
        mend: `(variables, damaged, context) -> images`; its known pixels are not looked at.
        tests: the corruptions; each draws by the context alone, so that the three belong together.
    """
    found: dict[str, Callable[..., Array]] = {}
    for name, corruption in tests.items():
        found[f"{name}/damaged"] = functools.partial(_damaged, name, corruption, 0)
        found[f"{name}/hole"] = functools.partial(_damaged, name, corruption, 1)
        found[f"{name}/repaired"] = functools.partial(_predicted, name, corruption, mend)
    return found


def damage(name: str, corruption: Corruption, images: Images, context: Context) -> Damaged:
    """Images under a test corruption, as `predictions` draws them."""
    return corruption(images, context.fold(f"damage/{name}"))


def _damaged(name, corruption, which, variables: Variables, images: Images, context: Context):
    del variables
    return damage(name, corruption, images, context)[which]


def _predicted(name, corruption, mend, variables: Variables, images: Images, context: Context):
    damaged = damage(name, corruption, images, context)
    return damaged.joined(mend(variables, damaged, context))


class Search(NamedTuple):
    r"""Latents by descent on :math:`\sum_{known} (G(z) - x)^2 / 2\sigma^2 + |z|^2 / 2`.

    Known pixels are those outside the hole; where the hole is everywhere, all. The start is the
    game's `predict["latents"]` of the damaged image where they are what `generate` takes (those of
    a two-stage VAE are not), else a draw. The descent is a loop: on a CPU keep the decoder free of
    convolutions.

    steps: of Adam.
    rate: of Adam.
    sigma: of the pixels, in the images' unit: how much the prior counts.
    """

    steps: int = 100
    rate: float = 0.05
    sigma: float = 0.2


def restoring(game: Game, tests: Mapping[str, Corruption], *, search: Search | None = None) -> Game:
    """A game with the predictions of `repair` beside its own.

    Args:
        game: of images in [0, 1], with `predict["reconstruction"]`; for a search with `generate`.
        tests: the corruptions, by name.
        search: how latents are looked for; None takes the reconstruction of the damaged image.

    Raises:
        ValueError: for a game that has not what is asked for.
    """
    if search is None and "reconstruction" not in game.predict:
        raise ValueError(
            f"restoring: the game predicts {sorted(game.predict)} and no 'reconstruction': give "
            "search=games.Search(), or take an autoencoder, a VAE or BiGAN."
        )
    if search is not None and (game.generate is None or game.latents is None):
        raise ValueError("restoring: the game has no latents to search: leave search out.")
    mend: Mend = functools.partial(_reconstructed, game)
    if search is not None:
        mend = functools.partial(_searched, game, search)
    return game._replace(predict={**game.predict, **predictions(mend, tests)})


def _reconstructed(game: Game, variables: Variables, damaged: Damaged, context: Context) -> Images:
    return game.predict["reconstruction"](variables, damaged.images, context)


def _searched(
    game: Game, search: Search, variables: Variables, damaged: Damaged, context: Context
) -> Images:
    assert game.generate is not None and game.latents is not None
    generate = functools.partial(game.generate, variables)
    images, hole = damaged
    everywhere = hole.min(axis=(1, 2, 3), keepdims=True) > 0
    known = jnp.where(everywhere, 1.0, 1.0 - hole)
    start = game.latents(images.shape[0], context.fold("search"))
    if "latents" in game.predict:
        codes = game.predict["latents"](variables, images, context)
        start = codes if codes.shape == start.shape else start

    def cost(z: Array) -> Array:
        squares = (jnp.square(generate(z, None, context) - images) * known).sum()
        return squares / (2 * search.sigma**2) + jnp.square(z).sum() / 2

    adam = optax.adam(search.rate)

    def step(_, carried):
        z, state = carried
        updates, state = adam.update(jax.grad(cost)(z), state)
        return optax.apply_updates(z, updates), state

    z, _ = jax.lax.fori_loop(0, search.steps, step, (start, adam.init(start)))
    return generate(z, None, context)
