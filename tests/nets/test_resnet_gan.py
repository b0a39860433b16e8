"""Residual GANs: parameter counts of the originals, every shape, gradients, penalties.

Counts are those of kwotsin/mimicry (a7fda06), counted in PyTorch: `SNGANGenerator32()` and so on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_gradients,
    count,
    out_shape,
    shapes,
    sizes,
    spectral_kernels,
)
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.nets.resnet_gan import pool_places

Z = jax.random.normal(KEY, (4, 5))
ONE_HOT = jnp.eye(4)[:, :3]
X = jax.random.normal(KEY, (4, 8, 12, 2))
SMALL = nets.ResNetGenerator((4, 3), 2, (4, 6))


@pytest.mark.parametrize(
    ("size", "gen", "disc"),
    [
        (32, 4276739, 1053825),
        (48, 4878083, 10141441),
        (64, 12220675, 10141441),
        (128, 32150787, 29017857),
    ],
)
def test_sngan_has_the_parameters_of_the_original(size, gen, disc):
    z, x = jnp.ones((1, 128)), jnp.ones((1, size, size, 3))
    assert sizes(nets.sngan_generator(size), z) == (gen, (1, size, size, 3))
    parameters, (_, features) = sizes(nets.sngan_trunk(size), x)
    assert parameters + features + 1 == disc


def test_conditional_sngan_and_wgan_gp_have_the_parameters_of_the_originals():
    """cgan_pd_32 of mimicry with 10 classes; WGAN-GP of mimicry, which has width 256."""
    z, y = jnp.ones((1, 128)), jnp.ones((1, 10))
    assert count(nets.sngan_generator(32, conditional=True), z, y) == 4304387
    head = nets.ProjectionHead(10, spectral=True)
    features = count(head, jnp.ones((1, 128)), jnp.zeros(1, int))
    x = jnp.ones((1, 32, 32, 3))
    assert count(nets.sngan_trunk(32), x) + features == 1055105
    assert count(nets.wgan_gp_generator(width=256), z) == 4276739
    assert count(nets.wgan_gp_trunk(), x) + 129 == 1053825


def test_wgan_gp_is_that_of_the_authors_layer_by_layer():
    """igul222/improved_wgan_training, gan_cifar_resnet.py: DIM_G = DIM_D = 128."""
    conv = 9 * 128 * 128 + 128
    block = 2 * conv + 128 * 128 + 128
    generator = 129 * 2048 + 3 * (block + 4 * 128) + 2 * 128 + 9 * 128 * 3 + 3
    assert count(nets.wgan_gp_generator(), jnp.ones((1, 128))) == generator
    first = 9 * 3 * 128 + 128 + conv + 3 * 128 + 128
    trunk = nets.wgan_gp_trunk()
    assert count(trunk, jnp.ones((1, 32, 32, 3))) == first + block + 4 * conv
    variables, features = shapes(trunk, jnp.ones((1, 32, 32, 3)))
    assert set(variables) == {"params"} and features.shape == (1, 128)


@pytest.mark.parametrize(("channels", "base"), [(1, (4, 4)), (3, (4, 6)), (5, (1, 3))])
def test_any_base_and_any_channels(channels, base):
    generator = nets.ResNetGenerator((8, 4, 4), channels, base)
    shape = (2, 4 * base[0], 4 * base[1], channels)
    assert out_shape(generator, jnp.ones((2, 7))) == shape
    trunk = nets.ResNetTrunk((4, 6), 2)
    assert out_shape(trunk, jnp.ones(shape)) == (2, 6)
    assert out_shape(trunk.clone(pool=None), jnp.ones(shape)) == (2, 6 * base[0] * base[1])


def test_the_condition_reaches_the_images():
    network = compiled(SMALL.clone(norm="self"))
    variables = network.init(KEY, Z, ONE_HOT)
    images, new = network.apply(variables, Z, ONE_HOT, context=CONTEXT)
    others, _ = network.apply(variables, Z, jnp.roll(ONE_HOT, 1, axis=1), context=CONTEXT)
    assert images.shape == (4, 8, 12, 2) and bool((jnp.abs(images) < 1).all())
    assert bool((images != others).any()) and set(new) == {"batch_stats"}


def test_pooling_by_sum_and_by_mean():
    x = jax.random.normal(KEY, (4, 2, 3, 5))
    places = np.asarray(x, np.float64).reshape(4, 6, 5)
    np.testing.assert_allclose(pool_places(x, "sum"), places.sum(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pool_places(x, "mean"), places.mean(1), rtol=1e-5, atol=1e-5)
    assert pool_places(x, None).shape == (4, 30)


def test_every_kernel_of_a_spectral_network_has_norm_one():
    assert spectral_kernels(nets.sngan_trunk(32, width=2), jnp.ones((1, 32, 32, 3))) == (10, 10)
    assert spectral_kernels(SMALL.clone(spectral=True), Z) == (5, 5)
    network = compiled(nets.ResNetTrunk((3,), 1))
    variables = network.init(KEY, X)
    for _ in range(100):
        variables = {**variables, **network.apply(variables, X, context=CONTEXT)[1]}
    for block, layers in variables["params"].items():
        for layer, params in layers.items():
            matrix = np.asarray(params["kernel"], np.float64).reshape(
                -1, params["kernel"].shape[-1]
            )
            u = np.asarray(variables["spectral"][block][layer]["u"], np.float64)
            top = np.linalg.svd(matrix, compute_uv=False)[0]
            np.testing.assert_allclose(np.linalg.norm(matrix @ u), top, rtol=3e-3)


def test_gradients_and_bfloat16():
    check_gradients(SMALL, Z)
    check_gradients(nets.ResNetTrunk((3, 3), 1), X)
    check_bfloat16(SMALL, Z)
    check_bfloat16(nets.ResNetTrunk((3, 4), 1), X)


def test_gradient_penalty_has_a_gradient():
    network = compiled(nets.ResNetTrunk((3, 3), 1, pool="mean", spectral=False))
    variables = network.init(KEY, X)

    def penalty(params):
        def critic(x):
            return network.apply({"params": params}, x, context=CONTEXT)[0].sum()

        return jnp.sum(jax.grad(critic)(X) ** 2)

    gradients = jax.jit(jax.grad(penalty))(variables["params"])
    kernels = [layer["kernel"] for block in gradients.values() for layer in block.values()]
    assert all(bool((g != 0).any() & jnp.isfinite(g).all()) for g in kernels)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"SNGAN: size=28 is not one of 32, 48, 64, 128; other"):
        nets.sngan_generator(28)
    with pytest.raises(ValueError, match=r"images of shape \(4, 8, 12, 2\) with 3 halvings; .* 8"):
        compiled(nets.ResNetTrunk((4, 4, 4), 3)).init(KEY, X)
    with pytest.raises(ValueError, match=r"base=\(0, 4\) is not \(height, width\)"):
        compiled(SMALL.clone(base=(0, 4))).init(KEY, Z)
    with pytest.raises(ValueError, match=r"widths=\(\); give one positive width"):
        compiled(SMALL.clone(widths=())).init(KEY, Z)
    with pytest.raises(ValueError, match="norm='conditional' without a condition"):
        compiled(SMALL.clone(norm="conditional")).init(KEY, Z)
    with pytest.raises(ValueError, match="pool='max' is not 'sum', 'mean' or None"):
        pool_places(X, "max")  # type: ignore[arg-type]
