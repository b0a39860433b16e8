"""A search that finds latents, a reconstruction of damaged images, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo

from gan_mtl import games, nets
from gan_mtl.games import corruptions
from gan_mtl.types import Context, starting

KEY = jax.random.key(3)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32), train=False)
linen = nets.from_linen


@functools.cache
def linear_model():
    """Two latents drawn in four pixels of a 2x2 image: x = 0.5 + 0.2 W z."""
    w = np.array([[1.0, 0.5, 0.5, -1.0], [0.0, 1.0, -1.0, 0.5]])
    game = games.vae(
        linen(nets.Head(4)),
        linen(nets.MLPGenerator((), (2, 2, 1), output="none")),
        2,
        optax.sgd(0.1),
        likelihood=games.Likelihood("gaussian", low=-9.0, high=9.0),
    )
    groups = jax.jit(game.init)(KEY, {"images": jnp.zeros((2, 2, 2, 1))})
    groups["decoder"]["params"]["out"] = {
        "kernel": jnp.asarray(0.2 * w, jnp.float32),
        "bias": jnp.full(4, 0.5),
    }
    return game, starting(groups), 0.2 * w


def test_the_search_finds_the_latents_of_a_linear_model():
    """The best z of the known pixels is a ridge regression; lost pixels follow from it."""
    game, variables, w = linear_model()
    search = games.Search(steps=400, rate=0.1, sigma=0.1)
    found = games.restoring(game, {"lost": last_pixel}, search=search)
    z = np.random.default_rng(0).normal(size=(3, 2))
    images = jnp.asarray((0.5 + z @ w).reshape(3, 2, 2, 1), jnp.float32)
    repaired = jax.jit(lambda v: found.predict["lost/repaired"](v, images, CONTEXT))(variables)
    known, x = w[:, :3], np.asarray(images, float).reshape(3, 4)[:, :3] - 0.5
    ridge = np.linalg.solve(known @ known.T + 0.01 * np.eye(2), known @ x.T).T
    np.testing.assert_allclose(repaired[:, 1, 1, 0], 0.5 + (ridge @ w)[:, 3], atol=2e-3)
    np.testing.assert_array_equal(repaired[:, 0], images[:, 0])
    plain = games.restoring(game, {"lost": last_pixel})
    shown = images.at[:, 1, 1].set(0.0)
    both = jax.jit(
        lambda v: (
            plain.predict["lost/repaired"](v, images, CONTEXT),
            game.predict["reconstruction"](v, shown, CONTEXT),
        )
    )
    again, wanted = both(variables)
    np.testing.assert_allclose(again[:, 1, 1], wanted[:, 1, 1], rtol=1e-6)


def everywhere(images, context):
    """Every second pixel black, and none of them known."""
    del context
    return corruptions.Damaged(images * jnp.array([1.0, 0.0])[None, None, :, None], images * 0 + 1)


def test_where_the_hole_is_everywhere_the_damaged_image_itself_is_fitted():
    game, variables, w = linear_model()
    search = games.Search(steps=400, rate=0.1, sigma=0.5)
    found = games.restoring(game, {"all": everywhere}, search=search)
    images = jnp.asarray(np.random.default_rng(1).uniform(size=(3, 2, 2, 1)), jnp.float32)
    repaired = jax.jit(lambda v: found.predict["all/repaired"](v, images, CONTEXT))(variables)
    x = np.asarray(images, float).reshape(3, 4) * [1, 0, 1, 0] - 0.5
    ridge = np.linalg.solve(w @ w.T + 0.25 * np.eye(2), w @ x.T).T
    np.testing.assert_allclose(repaired.reshape(3, 4), 0.5 + ridge @ w, atol=2e-3)


def test_a_search_starts_from_codes_that_generate_takes_and_else_from_a_draw():
    """Without a step what is made of the start is what is seen."""
    game, variables, _ = linear_model()
    images, still = jnp.full((3, 2, 2, 1), 0.3), games.Search(steps=0)
    damaged = last_pixel(images, CONTEXT).images

    def begun(game, variables):
        found = games.restoring(game, {"lost": last_pixel}, search=still)
        return np.asarray(found.predict["lost/repaired"](variables, images, CONTEXT))[:, 1, 1]

    def drawn(game, variables):
        z = game.latents(3, CONTEXT.fold("search"))
        return np.asarray(game.generate(variables, z, None, CONTEXT))[:, 1, 1]

    codes = game.predict["latents"](variables, damaged, CONTEXT)
    wanted = np.asarray(game.generate(variables, codes, None, CONTEXT))[:, 1, 1]
    np.testing.assert_allclose(begun(game, variables), wanted, rtol=1e-6)
    blind = game._replace(predict={})
    np.testing.assert_allclose(begun(blind, variables), drawn(game, variables), rtol=1e-6)
    assert np.abs(drawn(game, variables) - wanted).max() > 1e-3
    head, out = linen(nets.Head(4)), linen(nets.MLPGenerator((), (2, 2, 1), output="none"))
    stages = games.Stages(head, out, head, linen(nets.MLPGenerator((), (2,), output="none")))
    two = games.two_stage_vae(stages, 2, (optax.sgd(0.1), optax.sgd(0.1)))  # latents [n, 4]
    groups = starting(jax.jit(two.init)(KEY, {"images": images}))
    np.testing.assert_allclose(begun(two, groups), drawn(two, groups), rtol=1e-6)


def last_pixel(images, context):
    del context
    hole = jnp.zeros_like(images).at[:, 1, 1].set(1.0)
    return corruptions.Damaged(images * (1 - hole), hole)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match="and no 'reconstruction': give search="):
        games.restoring(zoo.game("unconditional"), {"lost": last_pixel})
    with pytest.raises(ValueError, match="no latents to search: leave search out"):
        games.restoring(zoo.game("mended"), {"lost": last_pixel}, search=games.Search())
