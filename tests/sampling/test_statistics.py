"""Standing statistics equal the plain averages over the batches, whatever the momentum."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.sampling import standing_statistics
from gan_mtl.types import Context, starting

CONTEXT = Context(jax.random.key(0), jnp.zeros((), jnp.int32))
DATA = 3 * np.random.default_rng(0).normal(size=(5, 16, 4)).astype(np.float32) + 2


class Net(nn.Module):
    momentum: float

    @nn.compact
    def __call__(self, x, *, context):
        x = nets.BatchNorm(momentum=self.momentum, name="first")(x, context=context)
        x = nn.Dense(3)(jnp.tanh(x))
        return nets.BatchNorm(momentum=0.5, name="second")(x, context=context)


def game(momentum):
    network = nets.from_linen(Net(momentum))
    variables = starting(
        {"gen": network.init(jax.random.key(1), DATA[0]), "disc": {"params": {"w": jnp.ones(2)}}}
    )
    return network, variables


def runner(network, train=True):
    context = CONTEXT._replace(train=train)
    return lambda v, i: v.apply(network, "gen", jnp.asarray(DATA[i]), context=context)[1]


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99])
def test_they_are_the_averages_of_the_batches(momentum):
    network, variables = game(momentum)
    got = standing_statistics(runner(network), variables, "gen", 5)
    first = got.state["gen"]["batch_stats"]["first"]["norm"]
    np.testing.assert_allclose(first["mean"], DATA.mean(axis=(0, 1)), rtol=1e-3)
    np.testing.assert_allclose(first["var"], DATA.var(axis=1).mean(axis=0), rtol=1e-3)
    dense = variables.params["gen"]["Dense_0"]
    hidden = [
        np.tanh((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)) @ dense["kernel"]
        for x in DATA
    ]
    second = got.state["gen"]["batch_stats"]["second"]["norm"]
    np.testing.assert_allclose(second["mean"], np.mean(hidden, axis=(0, 1)), atol=1e-4)
    np.testing.assert_allclose(second["var"], np.var(hidden, axis=1).mean(axis=0), rtol=1e-3)


def test_what_was_there_before_does_not_matter_and_nothing_else_moves():
    network, variables = game(0.9)
    ran = runner(network)(variables, 3)
    one, two = (standing_statistics(runner(network), v, "gen", 3) for v in (variables, ran))
    jax.tree.map(np.testing.assert_array_equal, one.state, two.state)
    assert one.params is variables.params
    jax.tree.map(np.testing.assert_array_equal, one.state["disc"], variables.state["disc"])


def test_only_means_and_variances_are_touched():
    network, variables = game(0.9)
    other = {"u": jnp.ones(3)}
    state = {**variables.state["gen"], "spectral": other}
    variables = variables._replace(state={**variables.state, "gen": state})

    def run(v, i):
        assert v.state["gen"]["spectral"] is other
        ran = v._replace(state={"gen": {"batch_stats": v.state["gen"]["batch_stats"]}})
        new = runner(network)(ran, i).state["gen"]["batch_stats"]
        return v._replace(state={**v.state, "gen": {**v.state["gen"], "batch_stats": new}})

    assert standing_statistics(run, variables, "gen", 2).state["gen"]["spectral"] is other


def test_errors_name_what_is_wrong():
    network, variables = game(0.9)
    with pytest.raises(ValueError, match=r"'disc' has no mean or var.*\['gen'\]"):
        standing_statistics(runner(network), variables, "disc", 2)
    with pytest.raises(ValueError, match="its context must say train=True"):
        standing_statistics(runner(network, train=False), variables, "gen", 2)
    with pytest.raises(ValueError, match="passes: expected at least 1, got 0"):
        standing_statistics(runner(network), variables, "gen", 0)
