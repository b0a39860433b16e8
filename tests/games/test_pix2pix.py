"""pix2pix's rows by hand, and pairs and discriminators that it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from pointwise import pointwise

from gan_mtl import games, losses
from gan_mtl.types import Context, starting

KEY = jax.random.key(6)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
GEN, DISC = pointwise(1, squash=True), pointwise(0)
BOTH = games.MapOptimizers(optax.sgd(0.1), optax.sgd(0.1))


def test_rows_are_means_over_patches_and_pixels():
    game = games.pix2pix(games.MapPlayers(GEN, DISC), BOTH, 3)
    batch = zoo.batch()
    groups = jax.jit(game.init)(KEY, batch)
    maps = jax.nn.one_hot(batch["mask"].astype(int), 3)
    fakes, _ = GEN.apply(starting(groups).of("gen"), jnp.zeros((8, 0)), maps, context=CONTEXT)
    real, fake = (
        np.asarray(DISC.apply(starting(groups).of("disc"), x, maps, context=CONTEXT)[0], np.float64)
        for x in (batch["images"], fakes)
    )
    found = game.turns[0].losses(starting(groups), batch, CONTEXT).losses
    expected = (np.logaddexp(0, -real) + np.logaddexp(0, fake)).mean((1, 2))
    np.testing.assert_allclose(found["adversarial"].values, expected, rtol=1e-5)
    found = game.turns[1].losses(starting(groups), batch, CONTEXT).losses
    np.testing.assert_allclose(
        found["adversarial"].values, np.logaddexp(0, -fake).mean((1, 2)), rtol=1e-5
    )
    apart = np.abs(np.asarray(fakes - batch["images"])).mean((1, 2, 3))
    np.testing.assert_allclose(found["l1"].values, apart, rtol=1e-5)
    assert game.turns[0].objectives["adversarial"].entries == {"disc": 0.5}
    assert game.turns[1].objectives["l1"].entries == {"gen": 100.0}
    assert game.latents is None and game.sample is not None


def test_a_class_out_of_range_is_seen_in_the_losses_of_its_image():
    """Instead of passing for a pixel that is ignored."""
    game = games.pix2pix(games.MapPlayers(GEN, DISC), BOTH, 3)
    batch = zoo.batch()
    groups = jax.jit(game.init)(KEY, batch)
    for turn in game.turns:
        for mask, faulty in ((batch["mask"].at[2, 1, 1].set(3), [2]), (batch["mask"], [])):
            found = turn.losses(starting(groups), {**batch, "mask": mask}, CONTEXT).losses
            for loss in found.values():
                assert jnp.flatnonzero(jnp.isnan(loss.values)).tolist() == faulty


def test_errors_name_value_and_remedy():
    players = games.MapPlayers(GEN, DISC)
    with pytest.raises(ValueError, match=r"pix2pix: the pair must be a function of one logit per"):
        games.pix2pix(players, BOTH, 3, adversarial=losses.relativistic_average())
    game = games.pix2pix(players._replace(disc=pointwise(2)), BOTH, 3)
    groups = jax.jit(game.init)(KEY, zoo.batch())
    with pytest.raises(ValueError, match=r"gives \(8, 4, 4, 2\); pix2pix takes a logit of every"):
        game.turns[0].losses(starting(groups), zoo.batch(), CONTEXT)
    batch = zoo.batch()
    with pytest.raises(TypeError, match="label maps: expected integer classes, got dtype float32"):
        games.pix2pix(players, BOTH, 3).init(KEY, {**batch, "mask": batch["mask"] + 0.5})
