"""A linear autoencoder finds the principal subspace; what is shown may differ from the target."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear

from gan_mtl import games
from gan_mtl.types import Context, starting
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(5)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def test_a_linear_one_is_principal_components():
    """Baldi & Hornik 1989: the least squared error is the sum of the eigenvalues left out."""
    x = np.random.default_rng(0).normal(size=(50, 4)) * np.array([2.0, 1.0, 0.4, 0.1])
    batch = {"images": jnp.asarray(x.reshape(50, 2, 2, 1), jnp.float32)}
    decay = optax.exponential_decay(0.05, 100, 0.5)
    game = games.autoencoder(linear(2), linear(4, shape=(2, 2, 1)), optax.adam(decay))
    updater = alternating(game)
    state, update = jax.jit(updater.init)(KEY, batch), jax.jit(updater.update)
    for i in range(300):
        state, metrics = update(jax.random.fold_in(KEY, i), state, batch)
    values = np.linalg.eigvalsh(x.T @ x / 50)
    want = 0.5 * values[:2].sum() + 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(metrics["model/reconstruction"], want, rtol=1e-3)
    codes = game.predict["latents"](variables_of(state), batch["images"], CONTEXT)
    assert codes.shape == (50, 2) and game.sample is None


def test_the_target_is_the_image_as_it_was():
    def nothing(images, context):
        return 0 * images

    encoder, decoder = linear(2), linear(16, shape=(4, 4, 1))
    game = games.autoencoder(encoder, decoder, optax.sgd(0.1), corrupt=nothing)
    batch = zoo.batch()
    variables = starting(jax.jit(game.init)(KEY, batch))
    found = game.turns[0].losses(variables, batch, CONTEXT).losses["reconstruction"].values
    squares = np.square(np.asarray(batch["images"])).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, 0.5 * squares + 8 * np.log(2 * np.pi), rtol=1e-5)
    seen = game.predict["reconstruction"](variables, batch["images"], CONTEXT)
    assert float(jnp.abs(seen).max()) > 0, "when asked it is shown the image"


def test_a_decoder_of_another_shape_is_refused():
    game = games.autoencoder(linear(2), linear(9, shape=(3, 3, 1)), optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"decoder: it makes \(3, 3, 1\), the data has \(4, 4, 1"):
        game.init(KEY, zoo.batch())
