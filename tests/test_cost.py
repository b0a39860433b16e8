"""The framework's step costs what the barest hand-written step of the same game costs."""

import jax
import jax.numpy as jnp
import optax
import pytest

from gan_mtl import nets
from gan_mtl.games import Latents, Optimizers, Players, gan, semi_supervised
from gan_mtl.types import Context
from gan_mtl.update import alternating

KEY = jax.random.key(0)
BATCH = 64
SIDE = 16


def players(disc=True):
    return Players(
        gen=nets.from_linen(nets.MLPGenerator((128,), (SIDE, SIDE, 1))),
        trunk=nets.from_linen(nets.MLPTrunk((128,))),
        disc=nets.from_linen(nets.Head()) if disc else None,
    )


def context(key):
    return Context(key, jnp.zeros((), jnp.int32))


def by_hand(parts, latents, adam):
    """Two losses, two gradients, two Adam steps: nothing else."""

    def generate(gen, key):
        return parts.gen.apply(gen, latents.draw(BATCH, context(key)), context=context(key))[0]

    def judge(disc, images, key):
        hidden = parts.trunk.apply(disc["trunk"], images, context=context(key))[0]
        return parts.disc.apply(disc["disc"], hidden, context=context(key))[0]

    def step(key, state, images):
        gen, disc, gen_opt, disc_opt = state
        keys = jax.random.split(key, 4)

        def disc_loss(disc):
            fakes = generate(gen, keys[0])
            real, fake = judge(disc, images, keys[1]), judge(disc, fakes, keys[1])
            return (jax.nn.softplus(-real) + jax.nn.softplus(fake)).mean()

        loss_disc, grads = jax.value_and_grad(disc_loss)(disc)
        updates, disc_opt = adam.update(grads, disc_opt, disc)
        disc = optax.apply_updates(disc, updates)

        def gen_loss(gen):
            return jax.nn.softplus(-judge(disc, generate(gen, keys[2]), keys[3])).mean()

        loss_gen, grads = jax.value_and_grad(gen_loss)(gen)
        updates, gen_opt = adam.update(grads, gen_opt, gen)
        gen = optax.apply_updates(gen, updates)
        return (gen, disc, gen_opt, disc_opt), (loss_disc, loss_gen)

    return step


def flops(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


def test_operation_count_of_a_gan_is_within_half_a_percent_of_the_hand_written_step():
    parts, latents, adam = players(), Latents(32), optax.adam(2e-4, b1=0.5)
    updater = alternating(gan(parts, latents, Optimizers(adam, adam)))
    batch = {"images": jnp.ones((BATCH, SIDE, SIDE, 1))}
    state = updater.init(KEY, batch)
    gen = {"params": state.params["gen"]}
    disc = {name: {"params": state.params[name]} for name in ("trunk", "disc")}
    start = (gen, disc, adam.init(gen), adam.init(disc))
    ours = flops(updater.update, KEY, state, batch)
    bare = flops(by_hand(parts, latents, adam), KEY, start, batch["images"])
    assert ours == pytest.approx(bare, rel=0.005), (ours, bare)


def test_a_further_row_on_the_same_groups_costs_no_further_backward_pass():
    """One backward pass per distinct column of coefficients, whatever the number of rows."""
    adam = optax.adam(1e-3)
    head = nets.from_linen(nets.Head(10))
    batch = {
        "images": jnp.ones((BATCH, SIDE, SIDE, 1)),
        "labelled_images": jnp.ones((BATCH, SIDE, SIDE, 1)),
        "labelled_labels": jnp.zeros((BATCH,), jnp.int32),
    }

    def cost(**weights):
        from gan_mtl.games import Weights

        game = semi_supervised(
            players(disc=False),
            head,
            Latents(32),
            Optimizers(adam, adam),
            num_classes=10,
            weights=Weights(**weights),
        )
        updater = alternating(game)
        return flops(updater.update, KEY, updater.init(KEY, batch), batch)

    plain, with_entropy = cost(), cost(entropy=1.0)
    assert with_entropy == pytest.approx(plain, rel=0.01)
