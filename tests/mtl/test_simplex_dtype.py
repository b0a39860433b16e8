"""Narrow rows stay narrow where wide numbers are enabled: Optax's projection widens them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import mtl


@pytest.mark.parametrize("name", ["sdmgrad", "modo"])
def test_aggregators_keep_float32(name):
    aggregator = getattr(mtl, name)()
    rows = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 4)), jnp.float32)}
    with jax.enable_x64(True):
        state = jnp.full(2, 0.5, jnp.float32)
        losses = jnp.ones((3, 2), jnp.float32)
        found = jax.jit(aggregator.update)(jax.random.key(0), losses, rows, state)
    assert [leaf.dtype for leaf in jax.tree.leaves(found)] == [jnp.float32] * 3


def test_the_projected_rule_keeps_float32():
    weighting = mtl.learned_simplex(rule="projected")
    with jax.enable_x64(True):
        state = jax.tree.map(lambda x: x.astype(jnp.float32), weighting.init(2))
        losses = jnp.asarray([1.0, 2.0], jnp.float32)
        found = jax.jit(weighting.update)(jax.random.key(0), losses, None, state)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("float32")}
