"""The conditional pair of 2014: sizes, and that labels matter."""

import jax
import jax.numpy as jnp
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_devices, check_gradients, count
from nets.compiled import compiled

from gan_mtl import nets

Z = jax.random.uniform(KEY, (4, 6))
Y = jnp.arange(4) % 3
ONE_HOT = jax.nn.one_hot(Y, 3)
SMALL = nets.MirzaGenerator((3, 2, 1), 5, 7, 8)


def test_sizes_are_the_papers():
    """Mirza & Osindero 2014, layer by layer."""
    z, y = jnp.ones((1, 100)), jnp.ones((1, 10))
    dense = 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert count(nets.MirzaGenerator(), z, y) == dense
    assert count(nets.mirza_trunk(), jnp.ones((1, 28, 28, 1))) == 785 * 240 * 5
    head = 11 * 50 * 5 + 291 * 240 * 4 + 241
    assert count(nets.MirzaHead(10), jnp.ones((1, 240)), jnp.zeros(1, int)) == head


def test_images_and_logits_depend_on_the_label():
    still = CONTEXT._replace(train=False)
    generator = compiled(SMALL)
    variables = generator.init(KEY, Z, ONE_HOT)
    images, _ = generator.apply(variables, Z, ONE_HOT, context=still)
    others, _ = generator.apply(variables, Z, jnp.roll(ONE_HOT, 1, axis=1), context=still)
    assert images.shape == (4, 3, 2, 1) and bool(((images > 0) & (images < 1)).all())
    assert bool((images != others).any(axis=(1, 2, 3)).all())
    head = compiled(nets.MirzaHead(3, irange=0.5))
    variables = head.init(KEY, Z, Y)
    logits, _ = head.apply(variables, Z, Y, context=still)
    others, _ = head.apply(variables, Z, (Y + 1) % 3, context=still)
    assert logits.shape == (4,) and bool((logits != others).all())


def test_gradients_bfloat16_and_devices():
    head = nets.MirzaHead(3, 4, width=6, irange=0.5)
    check_gradients(head, Z, Y)
    check_devices(head, Z, Y)
    check_gradients(SMALL, Z, ONE_HOT)
    check_devices(SMALL, Z, ONE_HOT)
    check_bfloat16(SMALL.clone(dropout=0.0), Z, ONE_HOT)


def test_refuses_labels_that_are_not_one_per_example():
    with pytest.raises(ValueError, match=r"labels of shape \(4, 3\) for 4 examples"):
        compiled(nets.MirzaHead(3)).init(KEY, Z, ONE_HOT)
