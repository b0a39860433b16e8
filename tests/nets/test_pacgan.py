"""The pair for rings and grids: sizes of the authors' code, any packing."""

import jax
import jax.numpy as jnp
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_devices, check_gradients, count
from nets.compiled import compiled

from gan_mtl import nets

Z = jax.random.normal(KEY, (8, 2))


@pytest.mark.parametrize("packing", [1, 2, 4])
def test_sizes_are_those_of_the_authors(packing):
    """fjxmlzn/PacGAN, synthetic_data_experiments/2DGrid_GAN&PacGAN, pacgan_task.py."""
    dense = 2 * 400 + 3 * 400 * 400 + 400 * 2 + 2
    norms = 4 * 2 * 400
    assert count(nets.PacGANGenerator(), Z) == dense + norms
    pack = jnp.ones((1, packing, 2))
    maxout = (2 * packing + 1) * 1000 + 2 * 201 * 1000
    assert count(nets.PacGANTrunk(), pack) == maxout
    assert count(nets.PacGANHead(), jnp.ones((1, 200))) == 201


def test_initial_kernels_are_normal_and_statistics_move():
    network = compiled(nets.PacGANGenerator(width=100))
    variables = network.init(KEY, Z)
    points, new = network.apply(variables, Z, context=CONTEXT)
    assert points.shape == (8, 2) and set(new) == {"batch_stats"}
    assert abs(float(variables["params"]["Dense_1"]["kernel"].std()) - 0.02) < 1e-3
    moved = new["batch_stats"]["BatchNorm_0"]["norm"]["mean"]
    hidden = Z @ variables["params"]["Dense_0"]["kernel"]
    assert bool(jnp.allclose(moved, 0.05 * hidden.mean(0), atol=1e-6))


def test_gradients_bfloat16_and_devices():
    check_gradients(nets.PacGANGenerator(3, 6, 2), Z)
    check_devices(nets.PacGANGenerator(3, 6, 2), Z)
    for module in (nets.PacGANTrunk(5, 2), nets.PacGANHead()):
        check_gradients(module, Z)
        check_bfloat16(module, Z)
