"""The pair of 2014: sizes of the authors' configuration, dropout, initialisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_devices,
    check_gradients,
    count,
    out_shape,
)
from nets.compiled import compiled

from gan_mtl import nets

Z = jax.random.uniform(KEY, (4, 6))
X = jax.random.uniform(KEY, (4, 5, 3, 2))


def test_sizes_are_those_of_the_authors():
    """goodfeli/adversarial, mnist.yaml."""
    dense = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    assert count(nets.GoodfellowGenerator(), jnp.ones((1, 100))) == dense
    maxout = (784 * 240 + 240) * 5 + (240 * 240 + 240) * 5
    assert count(nets.GoodfellowTrunk(), jnp.ones((1, 28, 28, 1))) == maxout
    assert count(nets.GoodfellowHead(), jnp.ones((1, 240))) == 241


def test_initial_kernels_are_uniform():
    params = compiled(nets.GoodfellowGenerator((9, 7, 2), 40)).init(KEY, Z)["params"]
    for name in ("Dense_0", "Dense_1", "out"):
        kernel = params[name]["kernel"]
        assert 0.045 < float(jnp.abs(kernel).max()) <= 0.05
        assert abs(float(kernel.std()) - 0.05 / 3**0.5) < 0.004
    params = compiled(nets.GoodfellowTrunk((50, 50))).init(KEY, X)["params"]
    assert 0.0049 < float(jnp.abs(params["Maxout_0"]["pieces"]["kernel"]).max()) <= 0.005


@pytest.mark.parametrize(("output", "low"), [("sigmoid", 0), ("tanh", -1)])
def test_images_of_any_shape_with_or_without_a_condition(output, low):
    generator = nets.GoodfellowGenerator((5, 3, 2), 8, output=output)
    network = compiled(generator)
    images, _ = network.apply(network.init(KEY, Z, Z), Z, Z, context=CONTEXT)
    assert images.shape == (4, 5, 3, 2) and bool(((images > low) & (images < 1)).all())
    assert out_shape(generator, Z) == (4, 5, 3, 2)


def test_marginal_bias_gives_the_mean_image_of_dead_hidden_units():
    images = np.array(X)
    images[:, 0, 0, 0] = 0.0
    network = compiled(nets.GoodfellowGenerator((5, 3, 2), 8, bias_init=nets.marginal_bias(images)))
    variables = network.init(KEY, Z)
    variables["params"]["out"]["kernel"] *= 0
    fakes, _ = network.apply(variables, Z, context=CONTEXT)
    np.testing.assert_allclose(
        fakes, np.broadcast_to(images.mean(0), fakes.shape), rtol=1e-5, atol=2e-7
    )


def test_dropout_keeps_the_expectation_and_is_off_in_evaluation():
    network = compiled(nets.GoodfellowTrunk((3,), 1, irange=0.5))
    x = jnp.ones((4096, 6))
    variables = network.init(KEY, x)
    exact, _ = network.apply(variables, x, context=CONTEXT._replace(train=False))
    noisy, _ = network.apply(variables, x, context=CONTEXT)
    np.testing.assert_allclose(noisy.mean(0), exact[0], atol=0.03)
    kernel = np.asarray(variables["params"]["Maxout_0"]["pieces"]["kernel"], np.float64)
    np.testing.assert_allclose(exact[0], kernel.sum(0), rtol=1e-5)
    variance = (kernel**2).sum(0) * 0.2 / 0.8  # of inverted dropout with keep 0.8
    np.testing.assert_allclose(noisy.var(0), variance, rtol=0.1)


def test_gradients_bfloat16_and_devices():
    for module in (nets.GoodfellowTrunk((6, 6), irange=0.5), nets.GoodfellowHead()):
        check_gradients(module, X)
        check_devices(module, X)
    check_gradients(nets.GoodfellowGenerator((5, 3, 2), 8), Z)
    check_bfloat16(nets.GoodfellowGenerator((5, 3, 2), 8), Z)
    assert out_shape(nets.GoodfellowHead(), X) == (4,)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"irange=0 is not positive"):
        nets.uniform_init(0)
    with pytest.raises(ValueError, match=r"images in \[-1.0, 1.0\] .* scale them to \[0, 1\]"):
        nets.marginal_bias(jnp.array([[-1.0], [1.0]]))
