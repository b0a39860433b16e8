"""What is shared takes parameters away and nothing else: every arm's generator by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import shared_generator_discriminator as experiment
from gan_mtl.run.config import Spec
from gan_mtl.types import Context, starting

WIDTH, BLOCKS, CLASSES = 8, 2, 3
SPEC = Spec((2, 2, 1), CLASSES, (-1.0, 1.0), 4)
BATCH = {"images": jnp.zeros((4, 2, 2, 1)), "labels": jnp.arange(4) % CLASSES}
CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
BLOCK = WIDTH * (WIDTH + 1)


def built(shared):
    settings = experiment.Settings(shared, width=WIDTH, blocks=BLOCKS, latents=5)
    game = experiment.build(settings, SPEC)
    return game, jax.jit(game.init)(jax.random.key(1), BATCH)


def layers(groups, *names):
    """Kernels and biases of dense layers, in the order in which they are passed."""
    found = []
    for name in names:
        params = groups[name]["params"]
        for layer in sorted(params, key=lambda name: (name == "out", name)):
            found.append([np.asarray(params[layer][k], float) for k in ("kernel", "bias")])
    return found


@pytest.mark.parametrize("shared", ["none", "embeddings", "first", "trunk"])
def test_every_generator_has_as_many_hidden_layers_with_their_activation(shared):
    game, groups = built(shared)
    z = np.asarray(game.latents(4, CONTEXT), float)
    found = game.generate(starting(groups), jnp.asarray(z, jnp.float32), BATCH["labels"], CONTEXT)
    condition, names = np.eye(CLASSES), ("gen", "shared", "gen/out")
    if shared == "embeddings":
        condition = np.asarray(jax.tree.leaves(groups["shared"]["params"])[0], float)
    if "gen/out" not in groups:
        names = ("gen",)
    *hidden, out = layers(groups, *names)
    assert len(hidden) == BLOCKS + 1
    x = np.concatenate([z, condition[np.asarray(BATCH["labels"])]], axis=1)
    for kernel, bias in hidden:
        x = x @ kernel + bias
        x = np.maximum(x, 0.2 * x)
    np.testing.assert_allclose(found.reshape(4, 4), np.tanh(x @ out[0] + out[1]), atol=1e-5)


@pytest.mark.parametrize(("shared", "blocks"), [("first", 1), ("trunk", BLOCKS)])
def test_a_shared_block_is_held_once(shared, blocks):
    def count(shared):
        return sum(x.size for g in built(shared)[1].values() for x in jax.tree.leaves(g["params"]))

    assert count("none") - count(shared) == blocks * BLOCK
