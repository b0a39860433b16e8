"""Parameters and operations of a network, against a count by hand."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_mtl import nets
from gan_mtl.data import Split
from gan_mtl.games import Task, multitask
from gan_mtl.run.network_cost import network_cost

SPLIT = Split(np.zeros((3, 4, 4, 1), np.uint8), np.zeros(3, np.int32), {"b": np.zeros(3, np.int32)})
TRUNK = nets.from_linen(nets.MLPTrunk((64,), jnp.asarray))


def cost(*tasks):
    return network_cost(multitask(TRUNK, tasks, optax.sgd(0.1)), SPLIT)


def test_what_heads_share_is_counted_once():
    head = nets.from_linen(nets.Head(32))
    one = cost(Task("a", head))
    two = cost(Task("a", head), Task("b", head, targets="b"))
    assert one["parameters"] == (16 * 64 + 64) + (64 * 32 + 32)
    assert two["parameters"] - one["parameters"] == 64 * 32 + 32
    trunk, branch = 2 * 16 * 64, 2 * 64 * 32
    assert one["operations_per_image"] == pytest.approx(trunk + branch, rel=0.1)
    extra = two["operations_per_image"] - one["operations_per_image"]
    assert extra == pytest.approx(branch, rel=0.1)
