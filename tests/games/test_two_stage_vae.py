"""The second stage learns the law of the first one's codes and leaves the first alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
import zoo_codes

from gan_mtl import games, nets
from gan_mtl.games.latent_models import learned_log_sigma
from gan_mtl.types import Context, Network, starting
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(8)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


def fixed(outputs):
    """A network without parameters to speak of."""

    def init(key, *inputs):
        return {"params": {"w": jnp.zeros(())}}

    def apply(variables, *inputs, context):
        return outputs(inputs[0]) + variables["params"]["w"], {}

    return Network(init, apply)


def test_the_second_turn_leaves_the_first_vae_alone():
    game = zoo.GAMES["two_stage"]()
    first, second = game.turns
    assert not {"encoder", "decoder", "scale"} & set(second.objectives["reconstruction"].entries)
    assert {name: row.entries for name, row in first.objectives.items()} == {
        "reconstruction": {"encoder": 1.0, "decoder": 1.0, "scale": 1.0},
        "kl": {"encoder": 1.0},
    }
    batch = zoo.batch()
    variables = starting(jax.jit(game.init)(KEY, batch))

    def total(params):
        outcome = second.losses(variables._replace(params=params), batch, CONTEXT)
        return sum(loss.values.sum() for loss in outcome.losses.values())

    slopes = jax.jit(jax.grad(total))(variables.params)
    for name, tree in slopes.items():
        moved = any(float(jnp.abs(x).max()) > 0 for x in jax.tree.leaves(tree))
        assert moved == name.startswith("second/"), name


def test_samples_have_the_law_of_the_codes_and_not_of_the_prior():
    """Codes of N(2, 0.5): the prior alone would sample N(0, 1)."""
    batch = {"images": jnp.zeros((64, 1, 1, 1))}
    law = jnp.array([2.0, 2 * np.log(0.5)])
    stages = games.Stages(
        fixed(lambda x: jnp.broadcast_to(law[None], (len(x), 2))),
        fixed(lambda z: z.reshape(-1, 1, 1, 1)),
        nets.from_linen(nets.Head(2)),
        nets.from_linen(nets.MLPGenerator((), (1,), output="none")),
    )
    likelihood = games.Likelihood("gaussian", low=-9.0, high=9.0)
    adam = optax.adam(optax.exponential_decay(0.05, 200, 0.5))
    options = {"likelihood": likelihood}
    game = games.two_stage_vae(stages, 1, (optax.sgd(0.0), adam), **options)
    updater = alternating(game)

    def step(i, state):
        return updater.update(jax.random.fold_in(KEY, i), state, batch)[0]

    run = jax.jit(lambda state: jax.lax.fori_loop(0, 600, step, state))
    variables = variables_of(run(jax.jit(updater.init)(KEY, batch)))
    samples = game.sample(variables, 4000, None, CONTEXT)
    np.testing.assert_allclose(samples.mean(), 2.0, atol=0.08)
    np.testing.assert_allclose(samples.std(), 0.5, atol=0.08)
    elbo = game.predict["second_elbo"](variables, batch["images"], CONTEXT).mean()
    entropy = 0.5 * np.log(2 * np.pi * np.e * 0.25)
    np.testing.assert_allclose(elbo, -entropy, atol=0.25)
    assert float(jnp.exp(learned_log_sigma(variables, "second/scale"))) < 0.6


def test_errors_name_value_and_remedy():
    stages = games.Stages(
        zoo_codes.encoder(), zoo_codes.decoder(), zoo_codes.encoder(), zoo_codes.encoder()
    )
    adams = (optax.adam(1e-3), optax.adam(1e-3))
    with pytest.raises(ValueError, match=r"second_decoder: it gives \(8, 8\); expected \[n, 4\]"):
        games.two_stage_vae(stages, 4, adams).init(KEY, zoo.batch())
    stages = stages._replace(second_encoder=zoo_codes.encoder(law=False))
    with pytest.raises(ValueError, match=r"second_encoder: it gives \(8, 4\); expected \[n, 8\]"):
        games.two_stage_vae(stages, 4, adams).init(KEY, zoo.batch())
